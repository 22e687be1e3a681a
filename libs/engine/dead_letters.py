"""Dead letters: what could not be decoded, handled or published, with enough to find it and to try again."""

from __future__ import annotations

from libs.contracts.dead_letters import dead_letter, place_of, text_of
from libs.contracts.system import EventDeadLettered
from libs.messagebus.codec import BadEvent, Codec
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import TopicRegistry
from libs.messagebus.transport import Entry

__all__ = ["DeadLetters", "text_of"]

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
        self._about_event(ts_event, entry, batch, index, text_of(error), place_of(error))

    def timer_failed(self, ts_event: int, timer: str, error: Exception) -> None:
        """The handler of a timer raised, or timers armed each other without end."""
        self._write(ts_event, _NOWHERE, 0, "", "", f"{timer}: {text_of(error)}", b"", place_of(error))

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
        self._written.append(dead_letter(ts_event, self._engine, entry, index, event_id, topic, error, payload, where))
