"""What is answered to the commands of a batch: only what was carried out is answered as done."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from libs.engine.errors import CommandRefused
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.transport import Entry


def answers_of(
    entries: Sequence[Entry],
    batches: Sequence[RecordBatch],
    inboxes: Container[str],
    handled: Container[type[Any]],
    replies: Mapping[int, Any],
    refused: Mapping[int, CommandRefused],
) -> dict[str, Any]:
    """Answers by event id.

    Args:
        entries: What was read.
        batches: The same, decoded.
        inboxes: Streams that carry commands.
        handled: Event types the engine has a handler for.
        replies: By flat index, what handlers replied; a command handled without a reply is answered with None.
        refused: By flat index, what was not carried out.
    """
    answers: dict[str, Any] = {}
    base = 0
    for entry, batch in zip(entries, batches, strict=True):
        if entry.stream in inboxes:
            for index, command in enumerate(batch.events):
                flat, event_id = base + index, batch.event_id(index)
                if flat in refused:
                    answers[event_id] = refused[flat]
                elif type(command) in handled:
                    answers[event_id] = replies.get(flat)
                else:
                    answers[event_id] = _not_handled(event_id, command)
        base += len(batch.events)
    return answers


def failed(event_id: str, error: str) -> CommandRefused:
    """The answer to a command on which the engine's own code failed."""
    return CommandRefused(
        500,
        "internal-error",
        f"command {event_id} was not carried out: {error}",
        "this is a bug; the engine's log and its dead letters have the details",
    )


def _not_handled(event_id: str, command: Any) -> CommandRefused:
    what = "what could not be decoded" if command is None else type(command).__name__
    return CommandRefused(
        501,
        "capability-unavailable",
        f"command {event_id} must be one the engine carries out, was {what}",
        "run the same version of the code everywhere",
    )
