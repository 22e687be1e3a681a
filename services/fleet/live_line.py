"""The one line ``nautilus up`` keeps up to date: replayed day, equity, orders, events a second."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from typing import TextIO

from libs.clock.live import monotonic_ns
from libs.contracts.fleet import DEFAULT_PORTFOLIO
from libs.engine.process import Process
from services.fleet.timestamps import day_of

_EVERY_SECONDS = 0.5
_PLAIN_EVERY = 20


class LiveLine:
    """An extra task of the embedded fleet; reads the engines' states, which live in the same process."""

    name = "live_line"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._process: Process | None = None

    def attach(self, process: Process) -> None:
        """Give it the process to look at."""
        self._process = process

    async def run(self) -> None:
        """Write until cancelled; where the output is no terminal, a line every ten seconds."""
        assert self._process is not None
        await self._process.started.wait()
        before, at = self._events(), monotonic_ns()
        turn = 0
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            events, now = self._events(), monotonic_ns()
            rate = (events - before) / ((now - at) / 1e9)
            before, at = events, now
            # A reader that has gone away, or a full disk behind a redirection, must not end the fleet.
            with suppress(OSError):
                self._show(self._text(rate), turn)
            turn += 1

    def _show(self, text: str, turn: int) -> None:
        if self._stream.isatty():
            # A line that wraps could not be written over.
            columns = shutil.get_terminal_size().columns
            self._stream.write(f"\r\x1b[2K{text[: columns - 1]}")
        elif turn % _PLAIN_EVERY == 0:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def _events(self) -> int:
        assert self._process is not None
        return sum(member.host.inputs.events for member in self._process.members.values() if member.host is not None)

    def _text(self, rate: float) -> str:
        assert self._process is not None
        hosts = {name: member.host for name, member in self._process.members.items() if member.host is not None}
        clock_ns = hosts["marketdata"].core.clock.timestamp_ns()
        equity = hosts["portfolio"].engine.status()["equity"].get(DEFAULT_PORTFOLIO)
        orders = hosts["strategy"].engine.status()["orders_submitted"]
        waiting = [name for name, host in hosts.items() if host.state != "running"]
        shown = day_of(clock_ns) if clock_ns else "starting"
        shown += f"  equity {float(equity):,.2f}" if equity is not None else ""
        shown += f"  orders {orders:,}  {rate:,.0f} events/s"
        if waiting:
            shown += f"  waiting for {', '.join(waiting)}"
        # The log may be on the disk that is full, so the terminal says it too.
        return f"{shown}  {self._process.parts.ping.error}".rstrip()
