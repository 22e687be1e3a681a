"""Outputs that cannot be written are taken out of their batch and told, instead of ending the process for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from libs.contracts.system import EventDeadLettered
from libs.engine.answers import failed
from libs.engine.dead_letters import DeadLetters
from libs.engine.errors import CommandRefused
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event
from libs.messagebus.transport import Entry


def append_letters(letters: DeadLetters, events: list[Event], causes: list[int]) -> list[EventDeadLettered]:
    """Publish the dead letters written so far behind everything else, and return them."""
    written = letters.take()
    events += written
    causes += [-1] * len(written)
    return written


def without_unfit(
    events: Sequence[Event],
    causes: Sequence[int],
    unfit: Callable[[Event], str],
    letters: DeadLetters,
    now: int,
    entries: Sequence[Entry],
    batches: Sequence[RecordBatch],
    refused: dict[int, CommandRefused],
) -> list[tuple[Event, int]]:
    """The events that can be written, with their causes; for the others dead letters of their causes are written.

    Args:
        events: What was published.
        causes: By event, the flat index of its cause in ``batches``, -1 for none.
        unfit: Why an event cannot be written, ``""`` if it can.
        letters: Takes the dead letters.
        now: The engine's clock.
        entries: What was read.
        batches: The same, decoded.
        refused: By flat index, what was not carried out; a command whose output is lost is added.
    """
    origins = [
        (entry, batch, index)
        for entry, batch in zip(entries, batches, strict=True)
        for index in range(len(batch.events))
    ]
    kept: list[tuple[Event, int]] = []
    for event, cause in zip(events, causes, strict=True):
        reason = unfit(event)
        if not reason:
            kept.append((event, cause))
        elif cause < 0:
            letters.unpublishable_without_cause(now, reason)
        else:
            entry, batch, index = origins[cause]
            letters.unpublishable(now, entry, batch, index, reason)
            refused[cause] = failed(batch.event_id(index), reason)
    return kept
