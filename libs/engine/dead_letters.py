"""Dead letters: what could not be decoded or handled, with enough to find it and to try again."""

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


class DeadLetters:
    """Writes the dead letters of one engine."""

    def __init__(self, engine: str, codec: Codec, registry: TopicRegistry) -> None:
        self._engine = engine
        self._codec = codec
        self._registry = registry

    def undecodable(self, ts_event: int, entry: Entry, error: str) -> EventDeadLettered:
        """A whole entry is no record batch."""
        return self._letter(ts_event, entry, 0, "", "", error, entry.data, error)

    def undecodable_event(self, ts_event: int, entry: Entry, batch: RecordBatch, bad: BadEvent) -> EventDeadLettered:
        """One event of a batch could not be decoded."""
        event_id = batch.event_id(bad.index)
        return self._letter(ts_event, entry, bad.index, event_id, "", bad.error, bad.payload, bad.error)

    def handler_failed(
        self, ts_event: int, entry: Entry, batch: RecordBatch, index: int, error: Exception
    ) -> EventDeadLettered:
        """A handler raised on event ``index`` of ``batch``."""
        event = batch.events[index]
        frames = traceback.extract_tb(error.__traceback__)
        where = "|".join(f"{frame.name}:{frame.lineno}" for frame in frames) + type(error).__name__
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        topic = self._registry.topic_of(event).name
        payload = self._codec.encode_event(event)
        return self._letter(ts_event, entry, index, batch.event_id(index), topic, text, payload, where)

    def _letter(
        self, ts_event: int, entry: Entry, index: int, event_id: str, topic: str, error: str, payload: bytes, where: str
    ) -> EventDeadLettered:
        return EventDeadLettered(
            ts_event,
            self._engine,
            entry.stream,
            entry.entry_id,
            index,
            event_id,
            topic,
            error[:MAX_ERROR],
            hashlib.blake2b(where.encode(), digest_size=8).hexdigest(),
            payload[:MAX_PAYLOAD],
        )
