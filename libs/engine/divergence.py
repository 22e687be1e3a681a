"""Where a replay first differs from what was published: the batch, the event that caused it, and both outputs.

The journal holds a hash of a batch's outputs; the outputs themselves lie on the streams, found there by producer and
sequence number. Reading them costs a walk over the streams the engine publishes to, which is done once, by an engine
that is about to stop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from libs.engine.core import Batch, EngineCore
from libs.engine.journal import JournalEntry
from libs.messagebus.codec import Codec
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import DecodeError, TransportError
from libs.messagebus.topic import Event, TopicRegistry
from libs.messagebus.transport import LAST, START, Entry, Transport

_PAGE = 256
_LONGEST_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class Published:
    """One published event with what its envelope says of it.

    Attributes:
        cause: Id of the event it was published on, "" for none (a timer, a start).
        ts_publish: The engine's clock when its batch was closed.
        references: Ids of what it names as what it was computed from.
    """

    event_id: str
    stream: str
    event: Event | None
    cause: str
    correlation: str
    ts_publish: int
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """The first output of a batch that is not the same in both runs.

    Attributes:
        index: Its place among the outputs of the batch, from 0.
        recorded, replayed: What each run published there, None for nothing.
    """

    index: int
    recorded: Published | None
    replayed: Published | None


def published_events(batches: Iterable[tuple[str, RecordBatch]]) -> dict[int, Published]:
    """Events of record batches by sequence number.

    Args:
        batches: Stream name and batch, of one producer.
    """
    found: dict[int, Published] = {}
    for stream, batch in batches:
        for index, event in enumerate(batch.events):
            found[batch.sequence + index] = Published(
                batch.event_id(index), stream, event, batch.causation_id(index), batch.correlation_id(index),
                batch.ts_publish, tuple(batch.references_of(index)),
            )  # fmt: skip
    return found


def first_difference(
    recorded: dict[int, Published], replayed: dict[int, Published], first_sequence: int
) -> Difference | None:
    """The lowest sequence number at which two runs differ, None where they are equal."""
    last = max([*recorded, *replayed], default=first_sequence - 1)
    for sequence in range(first_sequence, last + 1):
        before, now = recorded.get(sequence), replayed.get(sequence)
        if before != now:
            return Difference(sequence - first_sequence, before, now)
    return None


async def recorded_outputs(
    transport: Transport, codec: Codec, registry: TopicRegistry, producer: str, numbers: range
) -> dict[int, Published]:
    """What ``producer`` published under these sequence numbers, as far as it is still there.

    Streams are walked through until all is found, those of the producer's own topics first.

    Raises:
        TransportError: If the bus cannot be asked.
    """
    found: dict[int, Published] = {}
    topics = sorted(registry.by_name.values(), key=lambda topic: (topic.producer != producer, topic.stream))
    for stream in dict.fromkeys(topic.stream for topic in topics):
        position = START
        while len(found) < len(numbers):
            page = await transport.read_range(stream, position, LAST, _PAGE)
            batches = [batch for entry in page if (batch := _decoded(codec, entry)) and batch.producer == producer]
            events = published_events((stream, one) for one in batches)
            found |= {number: event for number, event in events.items() if number in numbers}
            if not page or page[-1].entry_id == position or max(events, default=-1) >= numbers.stop:
                break
            position = page[-1].entry_id  # read once more with the next page, to no effect
    return dict(sorted(found.items()))


async def describe_divergence(
    transport: Transport, core: EngineCore, number: int, entry: JournalEntry, entries: Sequence[Entry], batch: Batch
) -> str:
    """One sentence for a batch whose replay has another hash: which output differs, and both of them.

    Args:
        number, entry: The commit and what the journal says of it.
        entries: Its input.
        batch: What came of it now.
    """
    name = core.engine.name
    replayed = published_events((output.stream, core.codec.decode(output.data)) for output in batch.outputs)
    head = f"commit {number} of '{name}' must publish again what it published"
    try:
        numbers = range(entry.first_sequence, entry.first_sequence + entry.outputs)
        recorded = await recorded_outputs(transport, core.codec, core.registry, name, numbers)
    except TransportError as error:
        return f"{head}, was different; what it published could not be read: {error}"
    gone = entry.outputs - len(recorded)
    if gone:
        return (
            f"{head}, was {len(replayed)} events with hash {batch.output_hash.hex()} instead of {entry.outputs} with "
            f"{entry.output_hash.hex()}; {gone} of those are trimmed away, so they cannot be compared one by one"
        )
    difference = first_difference(recorded, replayed, entry.first_sequence)
    if difference is None:
        return (
            f"{head}, was equal to what lies on the streams and not to the hash {entry.output_hash.hex()} of the "
            "journal: the journal or the streams were changed"
        )
    shown = difference.recorded or difference.replayed
    assert shown is not None  # one of them is there, or they would be equal
    return (
        f"{head}, was different first in output {difference.index + 1} of {entry.outputs}, event {shown.event_id} on "
        f"'{shown.stream}', {_cause_text(core.codec, entries, shown.cause)}: published was "
        f"{_text(difference.recorded, difference.replayed)}, replayed is "
        f"{_text(difference.replayed, difference.recorded)}"
    )


def _cause_text(codec: Codec, entries: Sequence[Entry], cause: str) -> str:
    if not cause:
        return "published on no event (a timer or the start)"
    for entry in entries:
        batch = _decoded(codec, entry)
        for index in range(len(batch.events) if batch is not None else 0):
            if batch is not None and batch.event_id(index) == cause:
                return (
                    f"published on event {cause} at {entry.entry_id} of '{entry.stream}', {_short(batch.events[index])}"
                )
    return f"published on event {cause}"


def _text(one: Published | None, other: Published | None) -> str:
    if one is None:
        return "nothing"
    if other is not None and one.event == other.event:  # the envelopes differ
        return f"{_short(one.event)} on '{one.stream}' at {one.ts_publish} because of {one.cause or 'nothing'}"
    return _short(one.event)


def _short(event: Any) -> str:
    text = repr(event)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _decoded(codec: Codec, entry: Entry) -> RecordBatch | None:
    try:
        return codec.decode(entry.data)
    except DecodeError:
        return None
