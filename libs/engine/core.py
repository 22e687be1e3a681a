"""The synchronous heart of a host: entries in, outputs out.

``EngineCore.process`` is the one place where handlers run. The live host, the simulation and recovery all call
it, which is why a recovered engine is the same engine.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.clock import TestClock, TimeEvent
from libs.contracts.system import EventDeadLettered
from libs.engine.engine import Engine, Outbox
from libs.engine.errors import CommandRefused, RoutingError
from libs.engine.journal import JournalEntry, encode_journal, output_hash, ranges_of
from libs.messagebus.codec import Codec
from libs.messagebus.envelope import Input, RecordBatch
from libs.messagebus.errors import DecodeError
from libs.messagebus.topic import Event, TopicRegistry
from libs.messagebus.transport import Entry, Output
from libs.version import CODE_VERSION

#: Events an output entry holds at most; past it retry granularity worsens and nothing gets faster.
MAX_BATCH_EVENTS = 1024
#: Bytes of a failing event kept in its dead letter.
MAX_DEAD_PAYLOAD = 64 * 1024


@dataclass(slots=True)
class Batch:
    """What processing some entries gave; nothing of it exists outside until it is committed.

    Attributes:
        events_in: Events handled, by topic name.
        events_out: Events published, by topic name.
        replies: Answers to commands, by event id: a value, or the ``CommandRefused`` raised.
        dead: Dead letters among the outputs.
    """

    positions: dict[str, str]
    outputs: list[Output]
    journal: bytes
    output_hash: bytes
    events: int = 0
    events_out: dict[str, int] = field(default_factory=dict)
    replies: dict[str, Any] = field(default_factory=dict)
    dead: list[EventDeadLettered] = field(default_factory=list)


class EngineCore:
    """Runs one engine over encoded entries.

    Args:
        engine: The state machine; ``clock`` and ``outbox`` must be the ones it was built with.
        follow_events: Replay mode. The clock follows the market's timestamps instead of being set by the host,
            so that a replay of 1990 believes it is 1990.
    """

    def __init__(
        self,
        engine: Engine,
        clock: TestClock,
        outbox: Outbox,
        codec: Codec,
        registry: TopicRegistry,
        *,
        follow_events: bool,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.sequence = 0
        self.handled: dict[str, int] = {}
        self._outbox = outbox
        self._codec = codec
        self._registry = registry
        self._handlers: dict[type[Event], Any] = {}
        self._inboxes: set[str] = set()
        streams: dict[str, int] = {}
        for route in engine.routes():
            topic = route.topic
            if registry.by_name.get(topic.name) is not topic:
                raise RoutingError(f"route of '{engine.name}' must be a registered topic, was '{topic.name}'")
            if topic.event in self._handlers:
                raise RoutingError(f"topic '{topic.name}' must have one handler in '{engine.name}', was routed twice")
            self._handlers[topic.event] = route.handler
            streams[topic.stream] = topic.priority
            if topic.family.startswith("inbox."):
                self._inboxes.add(topic.stream)
        #: Streams this engine reads with their priority, most urgent first.
        self.streams = dict(sorted(streams.items(), key=lambda item: (item[1], item[0])))
        self._clock_types: frozenset[type[Event]] = frozenset(
            topic.event for topic in registry.by_name.values() if topic.family == "market" and follow_events
        )
        clock.register_default_handler(self._on_time_event)

    # -- one batch --------------------------------------------------------------------------------

    def start(self, ts: int) -> Batch:
        """The first batch of an engine's life: ``on_start`` and nothing else."""
        self._advance(ts)
        self.engine.on_start()
        return self._finish([], [], ts)

    def process(self, entries: Sequence[Entry], ts: int) -> Batch:
        """Handle ``entries`` in the order given, with the clock at ``ts`` (or following the events).

        A handler that raises leaves its event's outputs unpublished and its event in the dead letters.
        """
        if not self._clock_types:
            self._advance(ts)
        batches: list[RecordBatch] = []
        dead: list[EventDeadLettered] = []
        refused: dict[int, CommandRefused] = {}
        base = 0
        for entry in entries:
            batch = self._decode(entry, dead)
            batches.append(batch)
            self._dispatch(entry, batch, base, dead, refused)
            base += len(batch.events)
        return self._finish(entries, batches, ts, dead, refused)

    def _dispatch(
        self,
        entry: Entry,
        batch: RecordBatch,
        base: int,
        dead: list[EventDeadLettered],
        refused: dict[int, CommandRefused],
    ) -> None:
        # The hot loop of the fleet: about 0.25 us an event besides the handler (benchmarks/bus.py).
        handlers = self._handlers
        outbox = self._outbox
        clock_types = self._clock_types
        clock = self.clock
        index = base - 1
        for event in batch.events:
            index += 1
            kind = type(event)
            if kind in clock_types and event.ts_event > clock.timestamp_ns():
                outbox.cause = -1
                clock.advance_to(event.ts_event)
            handler = handlers.get(kind)
            if handler is None:
                continue
            outbox.cause = index
            mark = len(outbox.events)
            try:
                handler(event)
            except CommandRefused as error:
                self._roll_back(mark)
                refused[index] = error
            except Exception as error:  # the host must outlive any handler; the event goes to the dead letters
                self._roll_back(mark)
                dead.append(self._dead_letter(entry, batch, index - base, event, error))

    def _roll_back(self, mark: int) -> None:
        del self._outbox.events[mark:]
        del self._outbox.causes[mark:]
        self._outbox.replies.pop(self._outbox.cause, None)

    def _advance(self, ts: int) -> None:
        if ts > self.clock.timestamp_ns():
            self._outbox.cause = -1
            self.clock.advance_to(ts)

    def _on_time_event(self, event: TimeEvent) -> None:
        self.engine.on_time_event(event.name, event.ts_event)

    # -- decoding ---------------------------------------------------------------------------------

    def _decode(self, entry: Entry, dead: list[EventDeadLettered]) -> RecordBatch:
        try:
            return self._codec.decode(entry.data)
        except DecodeError as error:
            try:
                batch, bad = self._codec.salvage(entry.data)
            except DecodeError:
                dead.append(self._dead(entry, 0, "", "", str(error), entry.data, str(error)))
                return RecordBatch("", 0, 0, [])
            for event in bad:
                dead.append(
                    self._dead(entry, event.index, batch.event_id(event.index), "", event.error, event.payload, event.error)
                )
            return batch

    def _dead_letter(
        self, entry: Entry, batch: RecordBatch, index: int, event: Event, error: Exception
    ) -> EventDeadLettered:
        frames = traceback.extract_tb(error.__traceback__)
        where = "|".join(f"{frame.name}:{frame.lineno}" for frame in frames) + type(error).__name__
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        payload = self._codec.encode_event(event)
        topic = self._registry.topic_of(event).name
        return self._dead(entry, index, batch.event_id(index), topic, text, payload, where)

    def _dead(
        self, entry: Entry, index: int, event_id: str, topic: str, error: str, payload: bytes, where: str
    ) -> EventDeadLettered:
        return EventDeadLettered(
            self.clock.timestamp_ns(),
            self.engine.name,
            entry.stream,
            entry.entry_id,
            index,
            event_id,
            topic,
            error[:500],
            hashlib.blake2b(where.encode(), digest_size=8).hexdigest(),
            payload[:MAX_DEAD_PAYLOAD],
        )

    # -- outputs ----------------------------------------------------------------------------------

    def _finish(
        self,
        entries: Sequence[Entry],
        batches: Sequence[RecordBatch],
        ts: int,
        dead: list[EventDeadLettered] | None = None,
        refused: Mapping[int, CommandRefused] | None = None,
    ) -> Batch:
        outbox = self._outbox
        for letter in dead or ():
            outbox.cause = -1
            outbox.publish(letter)
        events, causes, replies = outbox.events, outbox.causes, outbox.replies
        outbox.clear()
        first_sequence = self.sequence
        outputs, counts = self._encode(events, causes, batches)
        digest = output_hash(outputs)
        journal = JournalEntry(ts, ranges_of(entries), len(events), digest, first_sequence, CODE_VERSION)
        result = Batch(
            positions={entry.stream: entry.entry_id for entry in entries},
            outputs=outputs,
            journal=encode_journal(journal),
            output_hash=digest,
            events=sum(len(batch.events) for batch in batches),
            events_out=counts,
            dead=dead or [],
        )
        if self._inboxes:
            result.replies = self._answers(entries, batches, replies, refused or {})
        return result

    def _encode(
        self, events: list[Event], causes: list[int], batches: Sequence[RecordBatch]
    ) -> tuple[list[Output], dict[str, int]]:
        if not events:
            return [], {}
        by_event = self._registry.by_event
        grouped: dict[str, list[int]] = {}
        counts: dict[str, int] = {}
        for index, event in enumerate(events):
            topic = by_event.get(type(event)) or self._registry.topic_of(event)
            counts[topic.name] = counts.get(topic.name, 0) + 1
            grouped.setdefault(topic.stream, []).append(index)
        inputs = [Input(batch.producer, batch.sequence, len(batch.events)) for batch in batches]
        roots = _roots(causes, batches)
        now = self.clock.timestamp_ns()
        outputs: list[Output] = []
        for stream, indices in grouped.items():
            whole = len(indices) == len(events)
            for start in range(0, len(indices), MAX_BATCH_EVENTS):
                part = indices[start : start + MAX_BATCH_EVENTS]
                caused = [causes[index] for index in part]
                linked = any(cause >= 0 for cause in caused)
                batch = RecordBatch(
                    self.engine.name,
                    self.sequence,
                    now,
                    events if whole and len(part) == len(events) else [events[index] for index in part],
                    inputs if linked else [],
                    caused if linked else [],
                    [roots[index] for index in part] if roots and linked else [],
                )
                outputs.append(Output(stream, self._codec.encode(batch)))
                self.sequence += len(part)
        return outputs, counts

    def _answers(
        self,
        entries: Sequence[Entry],
        batches: Sequence[RecordBatch],
        replies: Mapping[int, Any],
        refused: Mapping[int, CommandRefused],
    ) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        base = 0
        for entry, batch in zip(entries, batches, strict=True):
            if entry.stream in self._inboxes:
                for index in range(len(batch.events)):
                    flat = base + index
                    answers[batch.event_id(index)] = refused[flat] if flat in refused else replies.get(flat)
            base += len(batch.events)
        return answers

    # -- snapshots --------------------------------------------------------------------------------

    def encode_state(self) -> bytes:
        """The engine's state, encoded; see :mod:`libs.engine.snapshot` for what is stored around it."""
        return msgspec.msgpack.encode(self.engine.snapshot())


def _roots(causes: Sequence[int], batches: Sequence[RecordBatch]) -> list[str]:
    """Correlation ids of outputs whose cause is not itself a root; empty when all causes are roots."""
    if not any(batch.causes for batch in batches):
        return []
    flat: list[tuple[RecordBatch, int]] = [
        (batch, index) for batch in batches for index in range(len(batch.events))
    ]
    known: dict[int, str] = {}
    roots: list[str] = []
    for cause in causes:
        if cause not in known:
            if cause < 0:
                known[cause] = ""
            else:
                batch, index = flat[cause]
                known[cause] = batch.correlation_id(index) if batch.causes and batch.causes[index] >= 0 else ""
        roots.append(known[cause])
    return roots
