"""Telling the fleet that an engine changed state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from libs.contracts.system import EngineState, EngineStateChanged
from libs.engine.errors import CommandRefused
from libs.engine.health import HostView
from libs.engine.parts import ProcessParts
from libs.engine.vitals import Change
from libs.messagebus.errors import BufferFullError, PublisherClosedError

_SECONDS = 5.0
_SAMPLE_SECONDS = 0.1


async def announce(
    parts: ProcessParts,
    engine: str,
    previous: EngineState,
    state: EngineState,
    actor: str,
    reason: str,
    snapshot_number: int | None = None,
) -> Change:
    """Publish ``EngineStateChanged`` and return when the bus has it.

    Raises:
        CommandRefused: 503 if the bus did not take it in time; what it tells of has happened nevertheless.
    """
    now = parts.clock.timestamp_ns()
    event = EngineStateChanged(now, engine, state, previous, actor, reason)
    try:
        async with asyncio.timeout(_SECONDS):
            event_id = await parts.publisher.publish_confirmed(event)
    except TimeoutError:
        raise CommandRefused(
            503,
            "not-ready",
            f"{engine} is {state}, but the message bus did not take the news within {_SECONDS:g} s",
            "nothing needs to be done twice; the news follow when the bus is back",
        ) from None
    return Change(previous, state, actor, reason, now, event_id, snapshot_number)


class StateMonitor:
    """Looks at every member ten times a second: progress is noted, and changes nobody asked for are told."""

    name = "state_monitor"

    def __init__(self, parts: ProcessParts, views: Sequence[HostView]) -> None:
        self._parts = parts
        self._views = list(views)
        self._states: dict[str, EngineState] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.tell()
            await asyncio.sleep(_SAMPLE_SECONDS)

    def tell(self) -> None:
        """Publish what changed since the last look."""
        for view in self._views:
            state = view.sample()
            previous = self._states.get(view.name, "starting")
            self._states[view.name] = state
            if state == previous or "paused" in (state, previous):
                continue  # who pauses or resumes tells the fleet himself
            if state == "standby" or (previous == "standby" and state != "running"):
                continue  # the engine is what its primary says; of a standby only the takeover is news
            structlog.get_logger("host").info("state_changed", engine=view.name, state=state, previous_state=previous)
            now = self._parts.clock.timestamp_ns()
            reason = f"took over under epoch {view.vitals().epoch}" if previous == "standby" else ""
            with suppress(BufferFullError, PublisherClosedError):
                self._parts.publisher.publish(EngineStateChanged(now, view.name, state, previous, "host", reason))
