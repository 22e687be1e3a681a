"""The gateway's rounds: every engine is asked how it is, all at once, every two seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from libs.clock.live import monotonic_ns
from libs.contracts.fleet import ENGINES
from libs.engine.problems import Problem
from services.gateway.adapters.upstream import Upstreams
from services.gateway.fleet import Reading
from services.gateway.settings import GatewaySettings

#: Seconds between two rounds while an engine is starting, degraded or silent.
_SOON = 0.5
#: What a process says, or leaves unsaid, when another one of its engine may be the one to ask.
_NOT_LEADING = frozenset({"standby", "stopped", "unreachable"})


class Rounds:
    """Keeps the newest reading of every engine.

    Args:
        upstreams: How they are reached; past the breakers, since this is how recovery is noticed.
        settings: How often, and how long to wait.
        headers: What to identify with, made anew each time.
        progress: Called after every round.

    Attributes:
        readings: By engine; absent before the first look.
    """

    name = "rounds"

    def __init__(
        self,
        upstreams: Upstreams,
        settings: GatewaySettings,
        headers: Callable[[], Mapping[str, str]],
        progress: Callable[[], None],
    ) -> None:
        self.readings: dict[str, Reading] = {}
        self._upstreams = upstreams
        self._settings = settings
        self._headers = headers
        self._progress = progress

    async def run(self) -> None:
        """Make rounds until cancelled."""
        while True:
            self.readings.update(await self.look())
            self._progress()
            is_well = all(reading.state == "healthy" for reading in self.readings.values())
            # What is not well is looked at sooner, so that a fleet that has just become ready is not called starting.
            await asyncio.sleep(self._settings.health_seconds if is_well else min(_SOON, self._settings.health_seconds))

    async def look(self) -> dict[str, Reading]:
        """Ask all engines now; takes no longer than the timeout for each address of an engine."""
        found = await asyncio.gather(*(self._ask(engine) for engine in ENGINES))
        return dict(zip(ENGINES, found, strict=True))

    async def _ask(self, engine: str) -> Reading:
        """Look at an engine; where another process of it leads, that one is asked from now on.

        While the others are tried a request may reach a standby, which refuses it and sends nothing.
        """
        urls, present = self._upstreams.urls, self._upstreams.urls[engine]
        reading = await self._look_at(engine)
        for place in self._upstreams.places[engine] if reading.state in _NOT_LEADING else ():
            if place != present:
                urls[engine] = place
                other = await self._look_at(engine)
                if other.state not in _NOT_LEADING:
                    return other
        urls[engine] = present
        return reading

    async def _look_at(self, engine: str) -> Reading:
        timeout = self._settings.health_timeout_seconds
        try:
            async with asyncio.timeout(timeout):
                answer = await self._upstreams.ask(engine, "GET", "/status", "", self._headers(), None, timeout)
                status = await answer.json()
        except TimeoutError:
            return Reading(None, f"no answer within {timeout:g} s", monotonic_ns())
        except Problem as problem:
            return Reading(None, problem.detail, monotonic_ns())
        if answer.status != 200 or not isinstance(status, dict) or "status" not in status:
            return Reading(None, f"/status answered {answer.status} with no status", monotonic_ns())
        return Reading(status, "", monotonic_ns())
