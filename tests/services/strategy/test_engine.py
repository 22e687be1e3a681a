"""The engine: what is delivered when and in which order, and what binds at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.analysis import FactorsCalculated, FeaturesCalculated, PredictionMade
from libs.contracts.market import StepClosed
from libs.contracts.orders import OrderFilled, OrderSubmitted, StrategyLogged, StrategyStateChanged
from libs.contracts.topics import REGISTRY
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness
from tests.services.strategy.builders import (
    MINUTE,
    SYMBOL,
    bar,
    close,
    day,
    instrument,
    place,
    quote,
    ready_harness,
    report,
    strategy_harness,
    valuation,
)
from tests.services.strategy.recorder import recorder, recording  # noqa: F401

pytestmark = pytest.mark.usefixtures("recording")

TS = day(1)


def features(symbol: str, ts: int = TS, value: float = 1.0) -> FeaturesCalculated:
    return FeaturesCalculated(ts, symbol, "1d", {"x": value}, {}, ts)


def prediction(symbol: str, model: str) -> PredictionMade:
    return PredictionMade(TS, symbol, model, 1, "1d", 0.01, None, None, 0, 42)


def lines(harness: EngineHarness, strategy_id: str = "rec") -> list[str]:
    """What the recorder wrote, without the running number."""
    logged = [one for one in harness.of_type(StrategyLogged) if one.strategy_id == strategy_id and one.level == "info"]
    return [one.message.partition(" ")[2] for one in logged]


def a_step() -> list[Event]:
    """The data of one timestamp over all streams, each stream in its own order; the valuation comes after them."""
    return [
        instrument("BBB.X"), instrument("AAA.X"),
        close(20.0, TS, "BBB.X"), bar(9.0, 11.0, 8.0, 10.0, 5.0, TS, "AAA.X"), quote(19.0, 21.0, TS, symbol="BBB.X"),
        features("BBB.X"), features("AAA.X"),
        FactorsCalculated(TS, "BBB.X", {}, {}, {}), FactorsCalculated(TS, "AAA.X", {}, {}, {}),
        prediction("BBB.X", "m"), prediction("AAA.X", "n"), prediction("AAA.X", "m"),
        report("filled", "strategy-00000001", "R1", "2", "10", ts=TS, side="sell"),
    ]  # fmt: skip


EXPECTED = [
    "start",
    "fill R1 holds -2",
    "bar AAA.X 1d 9.0 10.0",
    "bar BBB.X 1d None 20.0",
    "quote BBB.X 19.0",
    "feature AAA.X {'x': 1.0}",
    "feature BBB.X {'x': 1.0}",
    "factor AAA.X",
    "factor BBB.X",
    "prediction AAA.X m",
    "prediction AAA.X n",
    "prediction BBB.X m",
]


def with_an_order() -> EngineHarness:
    """A recorder that has one working sell of two units, so that a report can fill it."""
    harness = strategy_harness(strategies=(recorder(),), allow_short=True)
    harness.send(instrument(), close(10.0, day(0)), valuation("1000", day(0)))
    harness.send(place("sell", "2", ts=day(0), strategy_id="rec"))
    assert [order.client_order_id for order in harness.of_type(OrderSubmitted)] == ["strategy-00000001"]
    harness.engine.state.buffer.bars.clear()
    return harness


def test_callbacks_come_in_canonical_order_in_the_decide_stage() -> None:
    harness = with_an_order()
    harness.send(*a_step(), valuation("1020", TS))
    harness.close_step(TS, ("mark", "assess"))
    assert lines(harness) == ["start"]
    harness.close_step(TS, ("decide",))
    assert lines(harness)[:-1] == EXPECTED
    assert lines(harness)[-1] == "step 2 equity 1020 spendable 1009.900990099009900990099010"


def interleaved(events: Sequence[Event], seed: int) -> list[Event]:
    """The same events with the streams interleaved at random; each stream keeps its own order."""
    streams: dict[str, list[Event]] = {}
    for event in events:
        streams.setdefault(REGISTRY.topic_of(event).stream, []).append(event)
    chosen, mixed = random.Random(seed), []
    while streams:
        name = chosen.choice(sorted(streams))
        mixed.append(streams[name].pop(0))
        if not streams[name]:
            del streams[name]
    return mixed


@given(st.integers(0, 10_000))
def test_no_decision_depends_on_which_stream_was_faster(seed: int) -> None:
    published = []
    for events in (a_step(), interleaved(a_step(), seed)):
        harness = with_an_order()
        before = len(harness.published)
        harness.send(*events, valuation("1020", TS))
        harness.close_step(TS)
        published.append(harness.published[before:])
    assert published[0] == published[1]


def test_what_is_later_than_the_step_is_not_seen() -> None:
    harness = strategy_harness(strategies=(recorder(),))
    harness.send(features("AAA.X", TS + 1, 2.0))
    harness.close_step(TS)
    assert not any(line.startswith("feature") for line in lines(harness))
    harness.close_step(TS + 1)
    assert "feature AAA.X {'x': 2.0}" in lines(harness)


def test_strategies_decide_in_the_order_of_their_ids() -> None:
    harness = strategy_harness(strategies=(recorder("b", buy_at=10.0), recorder("a", buy_at=10.0)))
    harness.send(instrument(), close(10.0, TS), valuation("1000", TS))
    harness.close_step(TS)
    assert [order.strategy_id for order in harness.of_type(OrderSubmitted)] == ["a", "b"]


def test_a_strategy_that_raises_is_stopped_and_the_others_go_on() -> None:
    harness = strategy_harness(strategies=(recorder("a", fail_at=11.0, buy_at=10.0), recorder("b")))
    harness.send(instrument(), close(10.0, TS), valuation("1000", TS))
    harness.close_step(TS)
    harness.send(close(11.0, day(2)))
    harness.close_step(day(2))
    failed = harness.of_type(StrategyStateChanged)[-1]
    assert (failed.strategy_id, failed.state, failed.actor) == ("a", "failed", "engine")
    assert failed.reason == "RuntimeError: price 11.0 is too much"
    assert harness.engine.orders.get("strategy-00000001").state == "pending_cancel"
    assert lines(harness, "b")[-1].startswith("step 2")
    count = len(lines(harness, "a"))
    harness.send(close(12.0, day(3)))
    harness.close_step(day(3))
    assert len(lines(harness, "a")) == count
    harness.restart()
    harness.send(close(12.0, day(4)))
    harness.close_step(day(4))
    assert len(lines(harness, "a")) == count
    assert harness.engine.status()["strategies"] == {"a": "failed", "b": "running"}


def test_timers_are_delivered_with_the_next_step_once() -> None:
    harness = strategy_harness(start_ns=TS, strategies=(recorder(timer_ns=MINUTE),))
    harness.send(close(10.0, TS + 5 * MINUTE // 2))
    harness.close_step(TS + 5 * MINUTE // 2)
    assert f"timer tick {TS + 2 * MINUTE}" in lines(harness)
    assert sum(line.startswith("timer") for line in lines(harness)) == 1
    harness.restart()
    harness.close_step(TS + 3 * MINUTE)
    assert f"timer tick {TS + 3 * MINUTE}" in lines(harness)


def test_a_fill_is_booked_at_once_and_moves_the_cash_until_the_next_valuation() -> None:
    harness = ready_harness(cash="1000")
    harness.send(place("buy", "5", ts=day(1)))
    assert harness.engine.entry.free_cash("main") == Decimal("495.00")  # 1000 less 500 and its reserve of 1 %
    harness.send(
        report("filled", report_id="R1", quantity="2", price="101", ts=day(2), commission="1", reference="100")
    )
    fill = harness.of_type(OrderFilled)[0]
    assert (fill.ts_event, fill.last_quantity, fill.slippage, fill.portfolio_id) == (day(2), 2, 1, "main")
    assert harness.engine.positions.quantity("main", "manual", SYMBOL) == 2
    assert harness.engine.entry.free_cash("main") == Decimal(1000) - 203 - 3 * 101
    harness.send(valuation("797", day(2), "999"))
    assert harness.engine.entry.free_cash("main") == Decimal(797) - 3 * 101


def test_prices_that_are_no_prices_are_refused() -> None:
    harness = strategy_harness()
    nan, infinity = float("nan"), float("inf")
    harness.send(close(nan, TS), close(0.0, TS), close(-1.0, TS), close(infinity, TS), quote(2.0, 1.0, TS))
    harness.send(quote(nan, 1.0, TS), quote(1.0, nan, TS), bar(1, 1, 1, nan, 1, TS))
    assert harness.engine.status()["prices_refused"] == 8
    assert harness.engine.state.marks == {}


@pytest.mark.parametrize("changes", [{"tick_size": "x"}, {"lot_size": "0"}, {"multiplier": "-1"}, {"tick_size": "NaN"}])
def test_an_instrument_that_cannot_be_is_refused_with_its_name(changes: dict[str, str]) -> None:
    harness = strategy_harness()
    with pytest.raises(AssertionError, match=f"{next(iter(changes))} of AAA.X must be"):
        harness.send(instrument(**changes))
    assert harness.engine.state.rules == {}


def test_the_steps_number_comes_from_the_source() -> None:
    harness = strategy_harness()
    harness.send(StepClosed(TS, "decide", 77, "test"))
    assert (harness.engine.status()["step"], harness.engine.status()["steps"]) == (77, 1)
