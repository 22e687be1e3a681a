"""What orders and signals name as their origin: exactly the events that were stored, never one of a later step."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.clock import TestClock
from libs.contracts.analysis import FeaturesCalculated
from libs.contracts.market import StepClosed
from libs.contracts.risk import HaltChanged
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.core import EngineCore
from libs.engine.engine import Outbox
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event
from libs.messagebus.transport import Entry
from services.strategy.engine import StrategyEngine
from services.strategy.settings import StrategyDefinition, StrategySettings
from tests.services.strategy.builders import SYMBOL, close, day, instrument, place, report, valuation

CROSS = StrategyDefinition(
    strategy_id="cross", library_id="moving_average_cross", portfolio_id="main",
    parameters={"fast": 1, "slow": 2, "weight": 0.5},
)  # fmt: skip


class Book:
    """Sends events one by one; keeps ids of what was sent, and names and references of what was published."""

    def __init__(self, *strategies: StrategyDefinition) -> None:
        clock, outbox = TestClock(), Outbox()
        engine = StrategyEngine(clock, outbox, StrategySettings(strategies=strategies))
        self.core = EngineCore(engine, clock, outbox, CODEC, REGISTRY, follow_events=True)
        self.core.start(day(0))
        self.sent = 0

    def send(self, event: Event) -> str:
        self.found: list[tuple[str, str, list[str]]] = []
        stream, self.sent = REGISTRY.topic_of(event).stream, self.sent + 1
        data = CODEC.encode(RecordBatch("m", self.sent, 0, [event]))
        batch = self.core.process([Entry(stream, f"{self.sent}-0", data)], self.core.clock.timestamp_ns())
        assert batch.dead == []
        for output in batch.outputs:
            decoded = CODEC.decode(output.data)
            for index, one in enumerate(decoded.events):
                name = REGISTRY.topic_of(one).name
                self.found.append((name, decoded.event_id(index), decoded.references_of(index)))
        return f"m:{self.sent}"

    def named(self, topic: str) -> tuple[str, list[str]]:
        return next((event_id, references) for name, event_id, references in self.found if name == topic)


def features(ts: int, value: float = 1.0) -> FeaturesCalculated:
    return FeaturesCalculated(ts, SYMBOL, "1d", {"sma_20": value}, {}, 0)


def prepared(*strategies: StrategyDefinition) -> tuple[Book, str, str]:
    book = Book(*strategies)
    book.send(instrument())
    price = book.send(close(100.0, day(1)))
    return book, price, book.send(valuation("100000", day(1)))


def test_an_order_by_hand_names_the_price_and_the_valuation_of_the_gate() -> None:
    book, price, worth = prepared()
    book.send(place(ts=day(1)))
    order_id, references = book.named("orders.submitted")
    assert references == [price, worth]
    book.send(report("accepted", ts=day(1)))
    assert book.named("orders.accepted")[1] == [order_id]
    book.send(report("filled", report_id="R2", quantity="10", price="101", ts=day(2)))
    assert book.named("orders.filled")[1] == [order_id]


def test_a_denial_names_the_halt_that_stops_the_order() -> None:
    book, price, worth = prepared()
    halt = book.send(HaltChanged(day(1), True, "all", "", "drill", "tester"))
    book.send(place(ts=day(1)))
    assert book.named("orders.denied")[1] == [price, worth, halt]


def crossing(*, late: Event | None = None) -> tuple[Book, dict[str, str]]:
    """A price above its average at day 2, so that the strategy buys when the step closes."""
    book, _, worth = prepared(CROSS)
    book.send(StepClosed(day(1), "decide", 1))
    ids = {"valuation": worth, "price": book.send(close(110.0, day(2))), "features": book.send(features(day(2)))}
    if late is not None:
        book.send(late)
    book.send(StepClosed(day(2), "decide", 2))
    return book, ids


def test_an_order_names_its_signal_and_the_signal_what_the_strategy_was_given() -> None:
    book, ids = crossing()
    signal_id, references = book.named("strategy.signal")
    assert references == [ids["features"], ids["price"], ids["valuation"]]
    assert book.named("orders.submitted")[1] == [signal_id, ids["price"], ids["valuation"]]


def test_an_event_of_a_later_step_is_not_named() -> None:
    book, ids = crossing(late=FeaturesCalculated(day(3), SYMBOL, "5m", {}, {}, 0))
    assert book.named("strategy.signal")[1] == [ids["features"], ids["price"], ids["valuation"]]


def test_origins_survive_a_restart() -> None:
    book, _ = crossing()
    engine: Any = book.core.engine
    engine.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(engine.snapshot()), type=engine.state_type))
    signal_id = engine.state.origins.signals["cross", SYMBOL].event_id
    assert signal_id.startswith("strategy:")
    book.send(report("filled", report_id="R2", quantity="1", price="101", ts=day(2)))
    assert book.named("orders.filled")[1] == [next(iter(engine.state.book.orders.values())).event_id]
