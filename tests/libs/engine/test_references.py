"""What an event was computed from: ids kept across batches, promised within one, and forgotten when taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from libs.clock import Clock, TestClock
from libs.contracts import topics
from libs.contracts.market import StepClosed, TradeReceived
from libs.contracts.orders import SignalGenerated, StrategyLogged
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Outbox
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event, Route, on
from libs.messagebus.transport import Entry


class Note(msgspec.Struct):
    event_id: str = ""


class NotingState(msgspec.Struct):
    prices: dict[str, str] = {}
    signal: Note = msgspec.field(default_factory=Note)


class NotingEngine:
    """Keeps the ids of trades; a step publishes a signal and a line (of another stream) that names it."""

    name = "noting"
    state_type = NotingState

    def __init__(self, _clock: Clock, outbox: Outbox) -> None:
        self._outbox = outbox
        self.state = NotingState()

    def routes(self) -> Sequence[Route]:
        return (on(topics.TICK, self.on_trade), on(topics.STEP, self.on_step_closed))

    def on_start(self) -> None:
        assert self._outbox.event_id == ""

    def on_time_event(self, name: str, ts_event: int) -> None: ...

    def on_trade(self, event: TradeReceived) -> None:
        self.state.prices[event.symbol] = self._outbox.event_id
        if event.price < 0:  # names the signal of an earlier batch
            self._outbox.publish_because(StrategyLogged(1, "s", "info", "later"), [self.state.signal.event_id])

    def on_step_closed(self, event: StepClosed) -> None:
        signal, because = Note(), [*self.state.prices.values(), ""]
        self._outbox.publish(StrategyLogged(1, "s", "info", "first, so that numbers are not indices"))
        strength: Any = 1.0 if event.source != "unfit" else float
        self._outbox.publish_because(SignalGenerated(1, "s", "A", "buy", strength, ""), because, signal)
        if event.source == "raise":
            self.failed = signal
            raise ValueError("no")
        self._outbox.publish_because(StrategyLogged(1, "s", "info", "same batch"), [signal.event_id, "x:1", "x:1"])
        self.state.signal = signal

    def snapshot(self) -> NotingState:
        return self.state

    def restore(self, state: NotingState) -> None:
        self.state = state

    def status(self) -> Mapping[str, Any]:
        return {}


def make_core() -> tuple[NotingEngine, EngineCore]:
    clock, outbox = TestClock(), Outbox()
    engine = NotingEngine(clock, outbox)
    core = EngineCore(engine, clock, outbox, CODEC, REGISTRY, follow_events=False)
    core.start(0)
    return engine, core


def entry(sequence: int, *events: Event) -> Entry:
    stream = REGISTRY.topic_of(events[0]).stream
    return Entry(stream, f"{sequence + 1}-0", CODEC.encode(RecordBatch("m", sequence, 0, list(events))))


def trade(symbol: str, price: float = 1.0) -> TradeReceived:
    return TradeReceived(1, symbol, price, 1.0, "buy", "test")


def references(batch: Batch) -> dict[str, list[str]]:
    decoded = [CODEC.decode(output.data) for output in batch.outputs]
    return {one.event_id(index): one.references_of(index) for one in decoded for index in range(len(one.events))}


def test_a_stored_event_and_one_of_the_same_batch_can_be_named() -> None:
    engine, core = make_core()
    batch = core.process([entry(10, trade("A"), trade("B")), entry(12, StepClosed(1, "mark", 1))], 5)
    # Two lines go to one stream, the signal to another: its number follows theirs although it was published between.
    assert references(batch) == {"noting:0": [], "noting:1": ["noting:2", "x:1"], "noting:2": ["m:10", "m:11"]}
    assert engine.state.signal.event_id == "noting:2"


def test_an_event_of_an_earlier_batch_can_be_named_after_a_restart() -> None:
    engine, core = make_core()
    core.process([entry(0, trade("A")), entry(1, StepClosed(1, "mark", 1))], 5)
    engine.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(engine.snapshot()), type=NotingState))
    assert references(core.process([entry(2, trade("A", -1.0))], 5)) == {"noting:3": ["noting:2"]}


def test_what_is_taken_back_leaves_no_promise() -> None:
    engine, core = make_core()
    batch = core.process([entry(0, trade("A")), entry(1, StepClosed(1, "mark", 1, "raise"))], 5)
    assert len(batch.dead) == 1
    assert engine.failed.event_id == ""
    assert set(map(tuple, references(batch).values())) == {()}


def test_an_event_that_cannot_be_written_is_named_by_nobody() -> None:
    engine, core = make_core()
    step = StepClosed(1, "mark", 1, "unfit")
    batch = core.process([entry(0, trade("A")), entry(1, step), entry(2, trade("B", -1.0))], 5)
    assert len(batch.dead) == 1
    assert engine.state.signal.event_id == ""
    assert [found for found in references(batch).values() if found] == [["x:1"]]
