"""How a dead letter is written: the same by engines, by workers, and by whoever else gives an event up."""

from __future__ import annotations

import hashlib
import traceback

from libs.contracts.system import EventDeadLettered
from libs.messagebus.transport import Entry

#: Bytes of a failing event kept in its dead letter.
MAX_PAYLOAD = 64 * 1024
MAX_ERROR = 500


def dead_letter(
    ts_event: int,
    reader: str,
    entry: Entry,
    index: int,
    event_id: str,
    topic: str,
    error: str,
    payload: bytes,
    place: str,
    attempts: int = 1,
) -> EventDeadLettered:
    """Write a dead letter.

    Args:
        ts_event: Now, on the reader's clock.
        reader: Engine or consumer group that failed.
        entry: Where the event lies.
        index: Its index in the entry.
        event_id: Its id, ``""`` where it could not be read.
        topic: Its topic, ``""`` where it could not be read.
        error: One line.
        payload: The event's bytes; the letter keeps ``MAX_PAYLOAD`` of them.
        place: Equal for equal failures; hashed.
        attempts: Times it was tried.
    """
    return EventDeadLettered(
        ts_event,
        reader,
        entry.stream,
        entry.entry_id,
        index,
        event_id,
        topic,
        encodable(error)[:MAX_ERROR],
        hashlib.blake2b(encodable(place).encode(), digest_size=8).hexdigest(),
        payload[:MAX_PAYLOAD],
        attempts,
    )


def text_of(error: BaseException) -> str:
    """Type and text of an error, one line."""
    return encodable(f"{type(error).__name__}: {error}".splitlines()[0])


def place_of(error: BaseException) -> str:
    """Equal for equal failures: the way to where it was raised, without its text."""
    # Not extract_tb: that reads the source files, which is I/O in the middle of a batch.
    frames = traceback.walk_tb(error.__traceback__)
    return "|".join(f"{frame.f_code.co_name}:{line}" for frame, line in frames) + type(error).__name__


def encodable(text: str) -> str:
    """Without the lone surrogates that file names and undecoded bytes bring into error texts."""
    return text.encode(errors="replace").decode()
