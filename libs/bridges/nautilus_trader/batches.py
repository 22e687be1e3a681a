"""Messages of NautilusTrader's streams as record batches of ours: ids, neighbours, dead letters."""

from __future__ import annotations

from hashlib import blake2b

from libs.bridges.nautilus_trader.errors import BridgeError, PayloadError
from libs.bridges.nautilus_trader.merge import Received
from libs.bridges.nautilus_trader.wire import timestamp
from libs.contracts.system import EventDeadLettered
from libs.contracts.topics import CODEC, REGISTRY
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event
from libs.messagebus.transport import Output, entry_order

ENGINE = "bridge.nautilus_trader"
SEQUENCE_BITS = 20
"""Entries of one millisecond that have a sequence of their own: a million."""

MAX_DEAD_BYTES = 64 * 1024
_NS_PER_MS = 1_000_000


def sequence_of(entry_id: str) -> int:
    """The sequence number of the event an entry becomes.

    Raises:
        PayloadError: If the id is too large, which no clock makes.
    """
    milliseconds, number = entry_order(entry_id)
    if number >> SEQUENCE_BITS or milliseconds >> (63 - SEQUENCE_BITS):
        raise PayloadError(f"entry id must be a time in milliseconds and a small count, was {entry_id}")
    return milliseconds << SEQUENCE_BITS | number


def taken_ns(entry_id: str) -> int:
    """When Redis took an entry, UNIX nanoseconds."""
    return entry_order(entry_id)[0] * _NS_PER_MS


class Batches:
    """Events into record batches: neighbours of one stream and producer share one."""

    def __init__(self) -> None:
        self._done: list[tuple[str, RecordBatch]] = []
        self._open: dict[str, RecordBatch] = {}

    def add(self, producer: str, sequence: int, ts_publish: int, event: Event) -> None:
        """Put an event behind those before it."""
        stream = REGISTRY.topic_of(event).stream
        batch = self._open.get(stream)
        if batch is not None and batch.producer == producer and batch.sequence + len(batch.events) == sequence:
            batch.events.append(event)
            return
        batch = self._open[stream] = RecordBatch(producer, sequence, ts_publish, [event])
        self._done.append((stream, batch))

    def encoded(self) -> list[Output]:
        """All batches, in the order of their first events."""
        return [Output(stream, CODEC.encode(batch)) for stream, batch in self._done]


def dead_letter(error: BridgeError, one: Received, event_id: str) -> EventDeadLettered:
    """The dead letter of a message that could not be expressed, under the id its event would have had."""
    try:
        ts_event = timestamp(one.message.body)
    except BridgeError:
        ts_event = taken_ns(one.entry_id)
    kind = f"{type(error).__name__}: {one.message.kind or one.message.topic}"
    return EventDeadLettered(
        ts_event=ts_event,
        engine=ENGINE,
        stream=one.key,
        entry_id=one.entry_id,
        index=0,
        event_id=event_id,
        topic=one.message.topic,
        error=f"{type(error).__name__}: {error}",
        traceback_hash=blake2b(kind.encode(), digest_size=8).hexdigest(),
        payload=one.message.payload[:MAX_DEAD_BYTES],
    )
