"""The synchronous heart of a host: entries in, outputs out.

``EngineCore.process`` is the one place where handlers run. The live host, the simulation and recovery all call
it, which is why a recovered engine is the same engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.clock import EndlessTimerError, TestClock, TimeEvent
from libs.contracts.system import EventDeadLettered
from libs.engine.answers import answers_of, failed
from libs.engine.dead_letters import DeadLetters, text_of
from libs.engine.engine import Engine, Outbox
from libs.engine.errors import CommandRefused, RoutingError
from libs.engine.journal import JournalEntry, encode_journal, output_hash, ranges_of
from libs.engine.outputs import OutputEncoder
from libs.engine.sieve import append_letters, without_unfit
from libs.engine.state_codec import encode_state
from libs.engine.writer import Writer, strategies_of
from libs.messagebus.codec import Codec
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import DecodeError
from libs.messagebus.topic import Event, TopicRegistry
from libs.messagebus.transport import Entry, Output
from libs.version import version_of


@dataclass(slots=True)
class Batch:
    """What processing some entries gave; nothing of it exists outside until it is committed.

    Attributes:
        events: Events read, handled or not.
        events_in: The same by topic name.
        events_out: Events published, by topic name.
        replies: Answers to commands, by event id: a value, or the ``CommandRefused`` raised.
        dead: Dead letters among the outputs.
    """

    positions: dict[str, str]
    outputs: list[Output]
    journal: bytes
    output_hash: bytes
    events: int = 0
    events_in: dict[str, int] = field(default_factory=dict)
    events_out: dict[str, int] = field(default_factory=dict)
    replies: dict[str, Any] = field(default_factory=dict)
    dead: list[EventDeadLettered] = field(default_factory=list)


@dataclass(slots=True)
class _OpenBatch:
    ts: int
    events: int = 0
    entries: list[Entry] = field(default_factory=list)
    batches: list[RecordBatch] = field(default_factory=list)
    refused: dict[int, CommandRefused] = field(default_factory=dict)


class EngineCore:
    """Runs one engine over encoded entries.

    Args:
        engine: The state machine; ``clock`` and ``outbox`` must be the ones it was built with.
        follow_events: Replay mode. The clock follows the market's timestamps instead of being set by the host,
            so that a replay of 1990 believes it is 1990.

    Attributes:
        code: Version of the code that defines the engine; it goes into the journal, with the epoch.
        epoch: Of the lease under which batches are committed; whoever takes one sets it.
        is_replaying: Batches are only compared with the journal: what is needed to commit or to count them is left out.
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
        self.epoch = 0
        self.is_replaying = False
        self.code = version_of(type(engine).__module__)
        self.handled: dict[str, int] = {}
        self._outbox = outbox
        self.codec = codec
        self.registry = registry
        self._encoder = OutputEncoder(engine.name, codec, registry)
        self._letters = DeadLetters(engine.name, codec, registry)
        self._handlers: dict[type[Event], Any] = {}
        self._inboxes: set[str] = set()
        self._open = _OpenBatch(0)
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
            topic.event for topic in registry.by_name.values() if topic.moves_clock and follow_events
        )
        clock.register_default_handler(self._on_time_event)

    # -- one batch --------------------------------------------------------------------------------

    def start(self, ts: int) -> Batch:
        """The first batch of an engine's life: ``on_start`` and nothing else.

        What ``on_start`` raises is raised here: there is no state yet that could be kept by going on.
        """
        self._advance(ts)
        self.engine.on_start()
        return self._finish([], [], ts, {})

    def process(self, entries: Sequence[Entry], ts: int) -> Batch:
        """Handle ``entries`` in the order given as one batch, with the clock at ``ts`` (or following the events)."""
        self.begin(ts)
        for entry in entries:
            self.handle(entry)
        return self.finish()

    def begin(self, ts: int) -> None:
        """Open a batch with the clock at ``ts``."""
        self._open = _OpenBatch(ts)
        if not self._clock_types:
            self._advance(ts)

    def handle(self, entry: Entry) -> None:
        """Handle the next entry of the open batch.

        A handler that raises leaves its event's outputs unpublished and its event in the dead letters; so does the
        handler of a timer.
        """
        opened = self._open
        batch = self._decode(entry)
        opened.entries.append(entry)
        opened.batches.append(batch)
        self._dispatch(entry, batch, opened.events, opened.refused)
        opened.events += len(batch.events)

    def finish(self) -> Batch:
        """Close the open batch; what came of it has to be committed before the next is finished."""
        opened = self._open
        return self._finish(opened.entries, opened.batches, opened.ts, opened.refused)

    def _dispatch(self, entry: Entry, batch: RecordBatch, base: int, refused: dict[int, CommandRefused]) -> None:
        # The hot loop of the fleet: about 0.1 us an event besides decoding and the handler (benchmarks/bus.py).
        handler_of = self._handlers.get
        outbox = self._outbox
        clock_types = self._clock_types
        clock = self.clock
        outbox.begin_entry(batch, base)
        for index, event in enumerate(batch.events, base):
            kind = type(event)
            if clock_types and kind in clock_types and event.ts_event > clock.timestamp_ns():
                self._advance(event.ts_event)
            handler = handler_of(kind)
            if handler is None:
                continue
            outbox.cause = index
            try:
                handler(event)
            except CommandRefused as error:
                outbox.take_back(index)
                refused[index] = error
            except Exception as error:  # the host must outlive any handler; the event goes to the dead letters
                outbox.take_back(index)
                self._letters.handler_failed(clock.timestamp_ns(), entry, batch, index - base, error)
                refused[index] = failed(batch.event_id(index - base), text_of(error))

    def _advance(self, ts: int) -> None:
        clock = self.clock
        self._outbox.cause = -1
        while ts > clock.timestamp_ns():
            try:
                clock.advance_to(ts)
            except EndlessTimerError as error:  # the timer it stopped at is spent; the advance goes on behind it
                self._letters.timer_failed(clock.timestamp_ns(), "timers", error)

    def _on_time_event(self, event: TimeEvent) -> None:
        # An error that left here would end the process, and the journal knows nothing of the batch: the timer would be
        # due again at every start.
        outbox = self._outbox
        before = len(outbox.events)
        try:
            self.engine.on_time_event(event.name, event.ts_event)
        except Exception as error:
            outbox.shorten(before)
            self._letters.timer_failed(self.clock.timestamp_ns(), f"timer '{event.name}' of {event.ts_event}", error)

    # -- decoding ---------------------------------------------------------------------------------

    def _decode(self, entry: Entry) -> RecordBatch:
        try:
            return self.codec.decode(entry.data)
        except DecodeError as error:
            now = self.clock.timestamp_ns()
            try:
                batch, bad = self.codec.salvage(entry.data)
            except DecodeError:
                self._letters.undecodable(now, entry, str(error))
                return RecordBatch("", 0, 0, [])
            for event in bad:
                self._letters.undecodable_event(now, entry, batch, event)
            return batch

    # -- outputs ----------------------------------------------------------------------------------

    def _finish(
        self, entries: Sequence[Entry], batches: Sequence[RecordBatch], ts: int, refused: dict[int, CommandRefused]
    ) -> Batch:
        outbox, now = self._outbox, self.clock.timestamp_ns()
        events, causes, replies, references = outbox.events, outbox.causes, outbox.replies, outbox.references
        outbox.clear()
        dead = append_letters(self._letters, events, causes)
        try:
            outputs, counts = self._encoder.encode(events, causes, batches, self.sequence, now, references)
        except Exception as error:  # a poisonous output would end the process at every start
            kept = without_unfit(events, causes, self._encoder.unfit, self._letters, now, entries, batches, refused)
            if len(kept) == len(events):
                raise error
            references.keep(events, [event for event, _ in kept])
            events, causes = [event for event, _ in kept], [cause for _, cause in kept]
            dead += append_letters(self._letters, events, causes)
            outputs, counts = self._encoder.encode(events, causes, batches, self.sequence, now, references)
        first_sequence = self.sequence
        self.sequence += len(events)
        digest = output_hash(outputs)
        if self.is_replaying:
            return Batch({}, outputs, b"", digest, dead=dead)
        journal = JournalEntry(
            ts, ranges_of(entries), len(events), digest, first_sequence, self.code, self.epoch,
            strategies_of(self.engine),
        )  # fmt: skip
        result = Batch(
            positions={entry.stream: entry.entry_id for entry in entries},
            outputs=outputs,
            journal=encode_journal(journal),
            output_hash=digest,
            events=sum(len(batch.events) for batch in batches),
            events_in=self._count(batches),
            events_out=counts,
            dead=dead,
        )
        if self._inboxes:
            result.replies = answers_of(entries, batches, self._inboxes, self._handlers, replies, refused)
        return result

    def _count(self, batches: Sequence[RecordBatch]) -> dict[str, int]:
        kinds: Counter[type[Any]] = Counter()
        for batch in batches:
            kinds.update(map(type, batch.events))  # counted in C: 0.04 us an event
        by_event = self.registry.by_event
        return {by_event[kind].name: count for kind, count in kinds.items() if kind in by_event}

    # -- snapshots --------------------------------------------------------------------------------

    def encode_state(self) -> bytes:
        """The engine's state, encoded; see :mod:`libs.engine.snapshot` for what is stored around it."""
        return encode_state(self.engine.snapshot())

    @property
    def writer(self) -> Writer:
        """The versions behind what this core writes now."""
        return Writer(self.code, strategies_of(self.engine))
