"""The wall clock of a simulated fleet."""

from __future__ import annotations

import asyncio

from libs.clock import TestClock


class WallClock(TestClock):
    """The wall clock of every host: the market's newest time, what has passed since, and jumps."""

    def __init__(self, start_ns: int) -> None:
        super().__init__(start_ns)
        self.base_ns, self.base_seconds, self.jumped_ns = start_ns, 0.0, 0

    def timestamp_ns(self) -> int:
        """Now; it can go backward, as a machine's can."""
        loop = asyncio.get_running_loop()
        return self.base_ns + int((loop.time() - self.base_seconds) * 1e9) + self.jumped_ns

    def show(self, ts_ns: int) -> None:
        """The market has come to ``ts_ns``."""
        if ts_ns > self.base_ns:
            self.base_ns, self.base_seconds = ts_ns, asyncio.get_running_loop().time()
