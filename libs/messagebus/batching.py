"""Events waiting in a publisher into encoded record batches: grouped by stream, split where too large."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.messagebus.codec import MAX_ENTRY_BYTES, Codec
from libs.messagebus.envelope import Input, RecordBatch
from libs.messagebus.errors import EntryTooLargeError, PublishError
from libs.messagebus.topic import Event
from libs.messagebus.transport import Output


@dataclass(slots=True, eq=False)
class Tracked:
    """An event that somebody waits for or that has a cause; events without either wait as they are, at no cost."""

    event: Event
    cause: str = ""
    root: str = ""
    confirmed: asyncio.Future[str] | None = None

    @classmethod
    def of(cls, event: Event, cause: str, root: str) -> Tracked:
        """Check the ids.

        Raises:
            PublishError: If one is no ``producer:sequence``, or there is a root without a cause.
        """
        for event_id in (cause, root):
            producer, _, sequence = event_id.rpartition(":")
            if event_id and not (producer and sequence.isascii() and sequence.isdigit()):
                raise PublishError(f"cause and root must be event ids (producer:sequence), was '{event_id}'")
        if root and not cause:
            raise PublishError(f"an event with a root must have a cause, was without (root '{root}'); pass the cause")
        return cls(event, cause, root)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits for the confirmation that there will be none."""
        if self.confirmed is not None and not self.confirmed.done():
            self.confirmed.set_exception(error)


Item = Event | Tracked


@dataclass(slots=True)
class Batches:
    """What one append call carries.

    Attributes:
        outputs: Encoded record batches, streams in order of first use.
        count: Events in them.
        tracked: Those of them that somebody waits for, with their ids.
        rejected: Events that cannot be encoded or are too large alone; they are in no batch.
    """

    outputs: list[Output] = field(default_factory=list)
    count: int = 0
    tracked: list[tuple[Tracked, str]] = field(default_factory=list)
    rejected: list[tuple[Item, PublishError]] = field(default_factory=list)

    def confirm(self) -> None:
        """The bus has them: tell whoever waits."""
        for item, event_id in self.tracked:
            if item.confirmed is not None and not item.confirmed.done():
                item.confirmed.set_result(event_id)

    def fail(self, error: Exception) -> None:
        """The bus will not get them: tell whoever waits."""
        for item, _ in self.tracked:
            item.fail(error)


class Batcher:
    """Encodes the events of one producer."""

    def __init__(
        self, producer: str, codec: Codec, streams: Mapping[type[Any], str], max_entry_bytes: int = MAX_ENTRY_BYTES
    ) -> None:
        """Keep what all batches share; ``streams`` maps every event type that can occur to its stream."""
        self._producer = producer
        self._codec = codec
        self._streams = streams
        self._max_entry_bytes = max_entry_bytes

    def encode(self, items: Sequence[Item], sequence: int, ts_publish: int) -> Batches:
        """Encode items; sequence numbers follow publication order within a stream.

        Args:
            items: In publication order.
            sequence: Sequence number of the first event.
            ts_publish: Clock, UNIX nanoseconds.
        """
        batches = Batches()
        for stream, group in self._grouped(items).items():
            self._encode_group(batches, stream, group, sequence, ts_publish)
        return batches

    def _grouped(self, items: Sequence[Item]) -> dict[str, Sequence[Item]]:
        streams = self._streams
        kinds = set(map(type, items))
        # Mostly a flush is one kind of event; then there is nothing to sort out (100 ns an event saved).
        if len(kinds) == 1 and (stream := streams.get(kinds.pop())) is not None:
            return {stream: items}
        groups: dict[str, list[Item]] = {}
        for item in items:
            kind = type(item.event) if isinstance(item, Tracked) else type(item)
            groups.setdefault(streams[kind], []).append(item)
        return dict(groups)

    def _encode_group(
        self, batches: Batches, stream: str, group: Sequence[Item], sequence: int, ts_publish: int
    ) -> None:
        first = sequence + batches.count
        is_tracked = Tracked in set(map(type, group))
        error: PublishError
        try:
            batch = self._linked(group, first, ts_publish) if is_tracked else self._plain(group, first, ts_publish)
            data = self._codec.encode(batch)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as failure:
            error = PublishError(f"event must be encodable, was not: {failure}; give its fields their declared types")
            error.__cause__ = failure
        else:
            if len(data) <= self._max_entry_bytes:
                batches.outputs.append(Output(stream, data))
                batches.count += len(group)
                if is_tracked:
                    batches.tracked += [
                        (item, f"{self._producer}:{first + index}")
                        for index, item in enumerate(group)
                        if isinstance(item, Tracked) and item.confirmed is not None
                    ]
                return
            error = EntryTooLargeError(
                f"event must fit into {self._max_entry_bytes} bytes, was {len(data)}; publish a reference to its data"
            )
        if len(group) == 1:
            batches.rejected.append((group[0], error))
            return
        # One event must not take the others of its batch down: halve until it is alone.
        middle = len(group) // 2
        self._encode_group(batches, stream, group[:middle], sequence, ts_publish)
        self._encode_group(batches, stream, group[middle:], sequence, ts_publish)

    def _plain(self, group: Sequence[Item], first: int, ts_publish: int) -> RecordBatch:
        return RecordBatch(self._producer, first, ts_publish, list(group))

    def _linked(self, group: Sequence[Item], first: int, ts_publish: int) -> RecordBatch:
        tracked = [item if isinstance(item, Tracked) else Tracked(item) for item in group]
        inputs: dict[str, int] = {}
        causes = [inputs.setdefault(item.cause, len(inputs)) if item.cause else -1 for item in tracked]
        roots = [item.root if item.root != item.cause else "" for item in tracked]
        return RecordBatch(
            self._producer,
            first,
            ts_publish,
            [item.event for item in tracked],
            [_input_of(event_id) for event_id in inputs],
            causes if inputs else [],
            roots if any(roots) else [],
        )


def _input_of(event_id: str) -> Input:
    producer, _, sequence = event_id.rpartition(":")
    return Input(producer, int(sequence), 1)
