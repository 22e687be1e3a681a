"""From published events to encoded record batches, one run of batches a stream, with their causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from libs.engine.references import References
from libs.messagebus.codec import MAX_ENTRY_BYTES, Codec
from libs.messagebus.envelope import Input, RecordBatch, ReferringBatch
from libs.messagebus.errors import EntryTooLargeError, TopicError
from libs.messagebus.topic import Event, TopicRegistry
from libs.messagebus.transport import Output

#: Events an output entry holds at most; past it retry granularity worsens and nothing gets faster.
MAX_BATCH_EVENTS = 1024
#: What one event may have: an entry, less room for the ids of everything that was read with its cause.
MAX_EVENT_BYTES = MAX_ENTRY_BYTES - 128 * 1024


class OutputEncoder:
    """Encodes what one producer publishes."""

    def __init__(self, producer: str, codec: Codec, registry: TopicRegistry) -> None:
        self._producer = producer
        self._codec = codec
        self._registry = registry

    def encode(
        self,
        events: list[Event],
        causes: list[int],
        inputs: Sequence[RecordBatch],
        sequence: int,
        ts_publish: int,
        references: References | None = None,
    ) -> tuple[list[Output], dict[str, int]]:
        """Encode ``events``, grouped by stream in order of first use.

        Args:
            events: In publication order.
            causes: Per event the flat index of its cause in ``inputs``, -1 for none.
            inputs: The batches that were handled.
            sequence: Sequence number of the first event; within a stream numbers follow publication order.
            ts_publish: Clock of the batch.
            references: What events name besides their causes; what it promised ids to gets them here.

        Returns:
            The entries to append, and the count of events by topic name.

        Raises:
            Exception: Whatever an event raises that cannot be encoded, is too large or of no topic; :meth:`unfit`
                finds out which.
        """
        if not events:
            return [], {}
        grouped, counts = self._grouped(events)
        runs = [Input(batch.producer, batch.sequence, len(batch.events)) for batch in inputs]
        roots = roots_of(causes, inputs)
        named = references.resolve(self._ids(grouped, sequence)) if references else {}
        outputs: list[Output] = []
        for stream, indices in grouped.items():
            parts = [indices[start : start + MAX_BATCH_EVENTS] for start in range(0, len(indices), MAX_BATCH_EVENTS)]
            parts.reverse()
            while parts:
                part = parts.pop()
                everything = len(part) == len(events)
                caused = causes if everything else [causes[index] for index in part]
                linked = max(caused) >= 0
                batch = RecordBatch(
                    self._producer,
                    sequence,
                    ts_publish,
                    events if everything else [events[index] for index in part],
                    runs if linked else [],
                    caused if linked else [],
                    [roots[index] for index in part] if roots and linked else [],
                )
                data = self._codec.encode(_referring(batch, part, named) if named else batch)
                if len(data) > MAX_ENTRY_BYTES:
                    parts.extend(_halves(part, len(data)))
                    continue
                outputs.append(Output(stream, data))
                sequence += len(part)
        return outputs, counts

    def _grouped(self, events: Sequence[Event]) -> tuple[dict[str, list[int]], dict[str, int]]:
        """Indices by stream in order of first use, and counts by topic name."""
        by_event = self._registry.by_event
        grouped: dict[str, list[int]] = {}
        counts: dict[str, int] = {}
        for index, event in enumerate(events):
            topic = by_event.get(type(event)) or self._registry.topic_of(event)
            counts[topic.name] = counts.get(topic.name, 0) + 1
            grouped.setdefault(topic.stream, []).append(index)
        return grouped, counts

    def _ids(self, grouped: Mapping[str, Sequence[int]], sequence: int) -> list[str]:
        """Ids by index: sequence numbers go on from stream to stream, in the order in which they are encoded."""
        order = [index for indices in grouped.values() for index in indices]
        ids = [""] * len(order)
        for place, index in enumerate(order):
            ids[index] = f"{self._producer}:{sequence + place}"
        return ids

    def unfit(self, event: Event) -> str:
        """Why ``event`` cannot be published, ``""`` if it can."""
        name = f"{type(event).__name__} of '{self._producer}'"
        try:
            self._registry.topic_of(event)
            size = len(self._codec.encode_event(event))
        except TopicError as error:
            return str(error)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
            return f"{name} must be encodable, was not: {error}; give its fields their declared types"
        if size > MAX_EVENT_BYTES:
            return f"{name} must fit into {MAX_EVENT_BYTES} bytes, was {size}; publish a reference to its data"
        return ""


def _referring(batch: RecordBatch, part: Sequence[int], named: Mapping[int, list[str]]) -> RecordBatch:
    """``batch`` with its references, or as it is when none of its events has any."""
    if not any(index in named for index in part):
        return batch
    return ReferringBatch(
        batch.producer, batch.sequence, batch.ts_publish, batch.events, batch.inputs, batch.causes, batch.roots,
        [named.get(index, []) for index in part],
    )  # fmt: skip


def _halves(part: list[int], size: int) -> list[list[int]]:
    """Both halves of what is too large for one entry, the later one first."""
    if len(part) == 1:
        raise EntryTooLargeError(f"event must fit into {MAX_ENTRY_BYTES} bytes, was {size}")
    middle = len(part) // 2
    return [part[middle:], part[:middle]]


def roots_of(causes: Sequence[int], inputs: Sequence[RecordBatch]) -> list[str]:
    """Correlation ids of outputs whose cause is not itself a root; empty when all causes are roots."""
    if not any(batch.causes for batch in inputs):
        return []
    flat = [(batch, index) for batch in inputs for index in range(len(batch.events))]
    known: dict[int, str] = {-1: ""}
    roots: list[str] = []
    for cause in causes:
        if cause not in known:
            batch, index = flat[cause]
            known[cause] = batch.correlation_id(index) if batch.causes and batch.causes[index] >= 0 else ""
        roots.append(known[cause])
    return roots
