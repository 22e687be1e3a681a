"""The moving-average rule: hand-computed entries and exits, and pandas as the oracle over a long path."""

from __future__ import annotations

from decimal import Decimal
from math import sin
from typing import Any

import pandas as pd
import pytest

from libs.contracts.orders import OrderSubmitted, SetStrategyState, SignalGenerated
from libs.testing.engine_harness import EngineHarness
from services.strategy.settings import StrategyDefinition
from tests.services.strategy.builders import SYMBOL, close, day, instrument, place, report, strategy_harness, valuation


def harness(settings: dict[str, Any] | None = None, **parameters: object) -> EngineHarness:
    definition = StrategyDefinition(
        strategy_id="ma",
        library_id="moving_average_cross",
        parameters={"fast": 2, "slow": 3, "weight": 0.1} | parameters,
    )
    made = strategy_harness(strategies=(definition,), **settings or {})
    made.send(instrument())
    return made


def step(harness: EngineHarness, number: int, price: float, fill: bool = True) -> list[OrderSubmitted]:
    """One day: price, a valuation of 100,000, the decision; orders are filled whole after it."""
    ts = day(number)
    harness.send(close(price, ts), valuation("100000", ts))
    found = [event for event in harness.close_step(ts) if isinstance(event, OrderSubmitted)]
    for order in found if fill else []:
        harness.send(
            report(
                "filled", order.client_order_id, f"F{number}", str(order.quantity), str(price), ts=ts, side=order.side
            )
        )
    return found


def test_it_enters_above_and_leaves_below() -> None:
    made = harness()
    # Averages of 2 and 3: warm-up; 10 < 10.33 flat; 11 > 10.67 buy; hold; 10.5 < 11 sell.
    prices = [11.0, 10.0, 10.0, 12.0, 11.0, 10.0]
    orders = [step(made, number, price) for number, price in enumerate(prices, 1)]
    assert [len(found) for found in orders] == [0, 0, 0, 1, 0, 1]
    buy, sell = orders[3][0], orders[5][0]
    # A tenth of 100,000 at 12 is 833.33 shares.
    assert (buy.side, buy.quantity, buy.order_type, buy.reference_price) == (
        "buy",
        Decimal(833),
        "market",
        Decimal("12.0"),
    )
    assert (sell.side, sell.quantity) == ("sell", Decimal(833))
    signals = made.of_type(SignalGenerated)
    assert [(signal.side, signal.strength) for signal in signals] == [("buy", 0.1), ("flat", 0.0)]
    assert signals[0].reason == "fast average 11 > slow 10.6667"


def test_inside_the_band_nothing_changes() -> None:
    made = harness(band=0.05)
    # 2- and 3-day averages 10.25 and 10.17: above, but by less than 5 %.
    assert [len(step(made, number, price)) for number, price in enumerate([10.0, 10.0, 10.5], 1)] == [0, 0, 0]
    # 11.75 > 11.17 * 1.05 = 11.725.
    assert len(step(made, 4, 13.0)) == 1


def test_it_does_not_order_twice_while_an_order_works() -> None:
    made = harness()
    found = [len(step(made, number, price, fill=False)) for number, price in enumerate([10.0, 10.0, 11.0, 12.0], 1)]
    assert found == [0, 0, 1, 0]


def test_a_denied_order_is_tried_again_after_some_steps() -> None:
    made = harness({"max_quantity": Decimal(1)}, retry_steps=2)
    for number, price in enumerate([10.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0], 1):
        step(made, number, price)
    assert made.engine.state.denials == {"max-quantity": 3}  # days 3, 5 and 7


def test_without_cash_it_does_not_ask() -> None:
    made = harness()
    for number, price in enumerate([10.0, 10.0, 11.0], 1):
        made.send(close(price, day(number)), valuation("5", day(number), equity="100000"))
        made.close_step(day(number))
    assert made.of_type(OrderSubmitted) == []
    assert made.engine.state.denials == {}


def test_other_symbols_intervals_and_indices_are_left_alone() -> None:
    made = harness(symbols=["BBB.X"])
    made.send(instrument("BBB.X", is_tradable=False))
    for number, price in enumerate([10.0, 10.0, 11.0], 1):
        made.send(close(price, day(number), "BBB.X"), close(price, day(number), interval="1h"))
        step(made, number, price)
    assert made.of_type(OrderSubmitted) == []


def test_a_paused_strategy_keeps_its_windows_and_sends_nothing() -> None:
    made = harness()
    made.send(SetStrategyState(0, "ma", "paused", "tester", ""))
    for number, price in enumerate([10.0, 10.0, 11.0], 1):
        assert step(made, number, price) == []
    made.send(SetStrategyState(0, "ma", "running", "tester", ""))
    assert len(step(made, 4, 12.0)) == 1  # no new warm-up


@pytest.mark.parametrize(("fast", "slow"), [(3, 8), (10, 30)])
def test_positions_are_those_of_pandas(fast: int, slow: int) -> None:
    # Oracle: pandas' rolling means of the same path; after each decision and its fill the position is what they say.
    prices = [100 + 20 * sin(number / 7) + 5 * sin(number * 1.7) for number in range(160)]
    series = pd.Series(prices)
    rule = (series.rolling(fast).mean() > series.rolling(slow).mean()).to_numpy()
    made = harness(fast=fast, slow=slow)
    for number, price in enumerate(prices, 1):
        step(made, number, price)
        held = made.engine.positions.quantity("main", "ma", SYMBOL)
        assert (held > 0) == bool(rule[number - 1]), f"day {number}"
    assert 4 < len(made.of_type(OrderSubmitted)) < 60


def test_a_manual_order_of_the_strategy_counts_as_its_own() -> None:
    made = harness()
    for number, price in enumerate([10.0, 10.0, 11.0], 1):
        step(made, number, price)
    held = made.engine.positions.quantity("main", "ma", SYMBOL)
    made.send(place("sell", str(held), ts=day(3), strategy_id="ma"))
    order = made.of_type(OrderSubmitted)[-1]
    made.send(report("filled", order.client_order_id, "X", str(held), "11", ts=day(3), side="sell"))
    assert len(step(made, 4, 12.0)) == 1  # it holds nothing any more and the rule still says long
