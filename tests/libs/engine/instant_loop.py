"""An event loop on which sleeping takes no time: it jumps to whatever is due next."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("nothing is scheduled and nothing can arrive: the test would wait for ever")
        ready = super().select(0)
        if not ready and timeout > 0:
            self.skipped += timeout
        return ready


class _InstantLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return super().time() + self._jumping.skipped


def run_instantly(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, without waiting."""
    with asyncio.Runner(loop_factory=_InstantLoop) as runner:
        return runner.run(main)
