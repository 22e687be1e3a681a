"""Waits until the fleet is quiet: every reader has committed past everything it reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from libs.messagebus.errors import TransportError
from libs.messagebus.transport import Quiescence
from services.marketdata.progress import ReplayProgress

#: Between two looks at the fleet.
FIRST_LOOK_SECONDS: Final = 0.0005
LONGEST_LOOK_SECONDS: Final = 0.005
#: The first look of a phase waits this share of what the phase usually takes, then looks come often. Every look is
#: work for Redis and for the engines' own event loop, and every millisecond of a late look is a millisecond lost.
_USUAL_SHARE: Final = 0.7
_LONGEST_USUAL_SECONDS: Final = 0.1
_MEMORY: Final = 0.2
_GROWTH: Final = 1.5
_REPORT_NS: Final = 1_000_000_000
_RETRY_SECONDS: Final = 0.5

Look = Callable[[Sequence[str]], Awaitable[Quiescence]]
Sleep = Callable[[float], Awaitable[None]]


class QuietWait:
    """Polls the transport; says once a second whom it waits for.

    Args:
        look: ``Transport.quiescence``.
        readers: Whom to wait for.
        progress: Where it is shown.
        now_ns: Monotonic time.
        sleep: Waits between two looks.
    """

    def __init__(
        self, look: Look, readers: Sequence[str], progress: ReplayProgress, now_ns: Callable[[], int], sleep: Sleep
    ) -> None:
        self._look = look
        self._readers = tuple(readers)
        self._progress = progress
        self._now_ns = now_ns
        self._sleep = sleep
        self._usual_seconds: dict[str, float] = {}
        self._log = structlog.get_logger("replay")

    async def wait(self, phase: str = "") -> None:
        """Return at the first look at which nothing is in flight; waits as long as it takes.

        Args:
            phase: What the fleet is doing; each phase has its own usual duration, ``""`` has none.
        """
        progress = self._progress
        started = reported = self._now_ns()
        usual = self._usual_seconds.get(phase, 0.0)
        await self._sleep(max(FIRST_LOOK_SECONDS, usual * _USUAL_SHARE))
        delay = FIRST_LOOK_SECONDS
        while True:
            try:
                answer = await self._look(self._readers)
            except TransportError as error:
                if not error.retriable:
                    raise
                if not progress.transport_error:
                    self._log.warning("bus_unreachable", error=str(error))
                progress.transport_error = str(error)
                await self._sleep(_RETRY_SECONDS)
                continue
            progress.transport_error = ""
            if answer.quiet:
                progress.waiting_for = []
                progress.waiting_since_ns = 0
                if phase:
                    # An outage must not teach it to wait long.
                    took = min((self._now_ns() - started) / 1e9, _LONGEST_USUAL_SECONDS)
                    self._usual_seconds[phase] = usual + _MEMORY * (took - usual)
                return
            progress.waiting_for = answer.waiting_for
            progress.waiting_since_ns = started
            now = self._now_ns()
            if now - reported >= _REPORT_NS:
                reported = now
                seconds = round((now - started) / 1e9)
                self._log.warning("lockstep_waits", waiting_for=answer.waiting_for, seconds=seconds)
            await self._sleep(delay)
            delay = min(delay * _GROWTH, LONGEST_LOOK_SECONDS)
