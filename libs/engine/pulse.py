"""Signs of life inside a process: does the event loop run, does the bus answer."""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from libs.clock.live import monotonic_ns
from libs.messagebus.errors import TransportError
from libs.messagebus.transport import Transport

_SECOND = 1_000_000_000
#: Between two looks at the event loop; also the resolution of what it reports.
LOOP_SECONDS = 0.25
PING_SECONDS = 1.0
#: The worst lateness of this long is what is shown: a scrape every 15 s would miss most single values.
_WINDOW = int(10 / LOOP_SECONDS)


class LoopMonitor:
    """Measures how late the event loop wakes a sleeper: handlers and commits of everybody wait as long."""

    name = "loop_monitor"

    def __init__(self) -> None:
        self._last_ns = monotonic_ns()
        self._lateness: deque[float] = deque(maxlen=_WINDOW)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            started = monotonic_ns()
            await asyncio.sleep(LOOP_SECONDS)
            self._last_ns = monotonic_ns()
            self._lateness.append(max(0.0, (self._last_ns - started) / _SECOND - LOOP_SECONDS))

    @property
    def tick_age_seconds(self) -> float:
        """Since the loop last ran this task."""
        return (monotonic_ns() - self._last_ns) / _SECOND

    @property
    def lag_seconds(self) -> float:
        """Worst lateness of the last ten seconds; 0 before the first look."""
        return max(self._lateness, default=0.0)


class PingMonitor:
    """Asks the bus once a second whether it is there.

    A PING that hangs ages like one that fails: no timeout is needed to notice a dead connection.

    Attributes:
        error: Why the newest PING failed, ``""`` after it was answered.
    """

    name = "ping_monitor"

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._answered_ns = 0
        self.error = ""

    async def run(self) -> None:
        """Ask until cancelled."""
        log = structlog.get_logger("bus")
        while True:
            try:
                await self._transport.ping()
            except TransportError as error:
                self.error = str(error)
                log.warning("bus_unreachable", error=self.error)
            else:
                self._answered_ns = monotonic_ns()
                if self.error:
                    self.error = ""
                    log.info("bus_answers_again")
            await asyncio.sleep(PING_SECONDS)

    @property
    def age_seconds(self) -> float | None:
        """Since the last answer, or None before the first."""
        return (monotonic_ns() - self._answered_ns) / _SECOND if self._answered_ns else None
