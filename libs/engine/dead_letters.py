"""Dead letters: what could not be decoded, handled or published, with enough to find it and to try again."""

from __future__ import annotations

import hashlib
import traceback

from libs.contracts.system import EventDeadLettered
from libs.messagebus.codec import BadEvent, Codec
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import TopicRegistry
from libs.messagebus.transport import Entry

#: Bytes of a failing event kept in its dead letter.
MAX_PAYLOAD = 64 * 1024
MAX_ERROR = 500
#: Where a timer stands instead of an entry.
_NOWHERE = Entry("", "", b"")


class DeadLetters:
    """Writes the dead letters of one engine and keeps them until its batch takes them."""

    def __init__(self, engine: str, codec: Codec, registry: TopicRegistry) -> None:
        self._engine = engine
        self._codec = codec
        self._registry = registry
        self._written: list[EventDeadLettered] = []

    def take(self) -> list[EventDeadLettered]:
        """What was written since the last call."""
        taken, self._written = self._written, []
        return taken

    def undecodable(self, ts_event: int, entry: Entry, error: str) -> None:
        """A whole entry is no record batch."""
        self._write(ts_event, entry, 0, "", "", error, entry.data, error)

    def undecodable_event(self, ts_event: int, entry: Entry, batch: RecordBatch, bad: BadEvent) -> None:
        """One event of a batch could not be decoded."""
        event_id = batch.event_id(bad.index)
        self._write(ts_event, entry, bad.index, event_id, "", bad.error, bad.payload, bad.error)

    def handler_failed(self, ts_event: int, entry: Entry, batch: RecordBatch, index: int, error: Exception) -> None:
        """A handler raised on event ``index`` of ``batch``."""
        self._about_event(ts_event, entry, batch, index, text_of(error), _place_of(error))

    def timer_failed(self, ts_event: int, timer: str, error: Exception) -> None:
        """The handler of a timer raised, or timers armed each other without end."""
        self._write(ts_event, _NOWHERE, 0, "", "", f"{timer}: {text_of(error)}", b"", _place_of(error))

    def unpublishable(self, ts_event: int, entry: Entry, batch: RecordBatch, index: int, error: str) -> None:
        """What was published while event ``index`` of ``batch`` was handled cannot be written."""
        self._about_event(ts_event, entry, batch, index, error, error)

    def unpublishable_without_cause(self, ts_event: int, error: str) -> None:
        """What a timer or the start of the engine published cannot be written."""
        self._write(ts_event, _NOWHERE, 0, "", "", error, b"", error)

    def _about_event(self, ts_event: int, entry: Entry, batch: RecordBatch, index: int, error: str, where: str) -> None:
        event = batch.events[index]
        topic = self._registry.topic_of(event).name
        payload = self._codec.encode_event(event)
        self._write(ts_event, entry, index, batch.event_id(index), topic, error, payload, where)

    def _write(
        self, ts_event: int, entry: Entry, index: int, event_id: str, topic: str, error: str, payload: bytes, where: str
    ) -> None:
        letter = EventDeadLettered(
            ts_event,
            self._engine,
            entry.stream,
            entry.entry_id,
            index,
            event_id,
            topic,
            _encodable(error)[:MAX_ERROR],
            hashlib.blake2b(_encodable(where).encode(), digest_size=8).hexdigest(),
            payload[:MAX_PAYLOAD],
        )
        self._written.append(letter)


def text_of(error: Exception) -> str:
    """Type and text of an error, one line."""
    return _encodable(f"{type(error).__name__}: {error}".splitlines()[0])


def _place_of(error: Exception) -> str:
    """Equal for equal failures: the way to where it was raised, without its text."""
    # Not extract_tb: that reads the source files, which is I/O in the middle of a batch.
    frames = traceback.walk_tb(error.__traceback__)
    return "|".join(f"{frame.f_code.co_name}:{line}" for frame, line in frames) + type(error).__name__


def _encodable(text: str) -> str:
    """Without the lone surrogates that file names and undecoded bytes bring into error texts."""
    return text.encode(errors="replace").decode()
