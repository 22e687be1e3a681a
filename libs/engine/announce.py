"""Telling the fleet that an engine changed state."""

from __future__ import annotations

import asyncio

from libs.contracts.system import EngineState, EngineStateChanged
from libs.engine.errors import CommandRefused
from libs.engine.parts import ProcessParts
from libs.engine.vitals import Change

_SECONDS = 5.0


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
