"""Momentum: a hand-computed rebalance, and pandas' ranking of real prices as the oracle."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from libs.contracts.market import CloseReceived
from libs.contracts.orders import OrderSubmitted, SetStrategyState, SignalGenerated, StrategyLogged
from libs.testing.engine_harness import EngineHarness
from services.strategy.library.cross_sectional_momentum import month_of
from services.strategy.settings import StrategyDefinition
from tests.services.strategy.builders import instrument, report, strategy_harness, valuation

#: Two names of 40 % each are more than the gate lets pass by default.
WIDE = {"max_notional_fraction": 1, "max_position_fraction": 1}
SYMBOLS = ("A.X", "B.X", "C.X", "D.X")


def at(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000_000


def harness(
    symbols: tuple[str, ...] = SYMBOLS, settings: dict[str, Any] | None = None, **parameters: Any
) -> EngineHarness:
    given = {"lookback_months": 2, "quantile": 0.5, "equity_fraction": 0.8, "minimum_symbols": 3} | parameters
    definition = StrategyDefinition(strategy_id="mom", library_id="cross_sectional_momentum", parameters=given)
    made = strategy_harness(strategies=(definition,), **WIDE | (settings or {}))
    made.send(*(instrument(symbol) for symbol in symbols))
    return made


def step(
    made: EngineHarness,
    ts: int,
    prices: dict[str, float],
    cash: str = "1000000",
    equity: str = "1000000",
    fill: bool = True,
) -> list[OrderSubmitted]:
    """One day; what is ordered is filled whole at the day's close, after the decision."""
    made.send(*(CloseReceived(ts, symbol, "1d", price, "test") for symbol, price in prices.items()))
    made.send(valuation(cash, ts, equity))
    found = [event for event in made.close_step(ts) if isinstance(event, OrderSubmitted)]
    for order in found if fill else []:
        fill_order(made, order, ts)
    return found


def fill_order(made: EngineHarness, order: OrderSubmitted, ts: int) -> None:
    made.send(
        report("filled", order.client_order_id, f"F-{order.client_order_id}", str(order.quantity),
               str(order.reference_price), ts=ts, symbol=order.symbol, side=order.side)
    )  # fmt: skip


def prices(*values: float) -> dict[str, float]:
    return dict(zip(SYMBOLS, values, strict=True))


def warmed_up(**parameters: Any) -> EngineHarness:
    """Month ends January 100 each; February 110, 120, 90, 105; March 100, 100, 100, 200. April is still to begin."""
    made = harness(**parameters)
    step(made, at(2020, 1, 2), prices(1, 1, 1, 1))
    step(made, at(2020, 1, 31), prices(100, 100, 100, 100))
    step(made, at(2020, 2, 3), prices(5, 5, 5, 5))
    step(made, at(2020, 2, 28), prices(110, 120, 90, 105))
    step(made, at(2020, 3, 2), prices(7, 7, 7, 7))
    step(made, at(2020, 3, 31), prices(100, 100, 100, 200))
    assert made.of_type(OrderSubmitted) == []
    return made


def test_the_first_rebalance_by_hand() -> None:
    made = warmed_up()
    # Two months back to one month back at the first step of April: January's end to February's end: 10, 20, -10, 5 %.
    # March, when D doubled, is skipped. The better half is B and A, each with 0.8 * 1,000,000 / 2 = 400,000.
    orders = step(made, at(2020, 4, 1), prices(64, 51, 9, 9), fill=False)
    assert [(order.side, order.symbol, order.quantity) for order in orders] == [
        ("buy", "B.X", Decimal(7_843)),  # 400,000 / 51 = 7,843.1
        ("buy", "A.X", Decimal(6_250)),  # 400,000 / 64 exactly
    ]
    signals = made.of_type(SignalGenerated)
    assert [(one.symbol, one.side, one.strength, one.reason) for one in signals] == [
        ("B.X", "buy", 0.4, "return 0.2000, place 1 of 4"),
        ("A.X", "buy", 0.4, "return 0.1000, place 2 of 4"),
    ]
    assert step(made, at(2020, 4, 2), prices(64, 51, 9, 9)) == []  # once a month


def test_buys_wait_until_the_sells_are_over() -> None:
    made = warmed_up()
    step(made, at(2020, 4, 1), prices(64, 51, 9, 9))
    step(made, at(2020, 4, 30), prices(100, 100, 100, 100), cash="200008")
    # February's end to March's end: -9.1, -16.7, +11.1, +90.5 %: out of A and B, into D and C.
    equity, cash = "1609300", "200000"
    sells = step(made, at(2020, 5, 4), prices(100, 100, 100, 100), cash=cash, equity=equity, fill=False)
    assert [(order.side, order.symbol, order.quantity) for order in sells] == [
        ("sell", "A.X", Decimal(6_250)), ("sell", "B.X", Decimal(7_843)),
    ]  # fmt: skip
    fill_order(made, sells[0], at(2020, 5, 5))
    assert step(made, at(2020, 5, 5), prices(100, 100, 100, 100), cash=cash, equity=equity) == []
    fill_order(made, sells[1], at(2020, 5, 6))
    buys = step(made, at(2020, 5, 6), prices(100, 100, 100, 100), cash="1609300", equity=equity)
    assert [(order.side, order.symbol, order.quantity) for order in buys] == [
        ("buy", "D.X", Decimal(6_437)), ("buy", "C.X", Decimal(6_437)),  # 0.8 * 1,609,300 / 2 = 643,720
    ]  # fmt: skip


def test_what_stays_is_trimmed_or_topped_up_to_its_weight() -> None:
    made = warmed_up(skip_months=0)
    step(made, at(2020, 4, 1), prices(100, 100, 100, 100))  # January's end to March's end: D, then A by name
    assert [order.symbol for order in made.of_type(OrderSubmitted)] == ["D.X", "A.X"]
    step(made, at(2020, 4, 30), prices(400, 50, 50, 200), cash="200000")
    # February's end to April's end: A +264 %, D +90 %; A is worth 4,000 * 400 and D 4,000 * 200.
    equity = "2600000"
    orders = step(made, at(2020, 5, 1), prices(400, 50, 50, 200), cash="200000", equity=equity)
    # Each target is 0.8 * 2,600,000 / 2 = 1,040,000: A down to 2,600 shares; D up to 5,200 once that is sold.
    assert [(order.side, order.symbol, order.quantity) for order in orders] == [("sell", "A.X", Decimal(1_400))]
    orders = step(made, at(2020, 5, 4), prices(400, 50, 50, 200), cash="760000", equity=equity)
    assert [(order.side, order.symbol, order.quantity) for order in orders] == [("buy", "D.X", Decimal(1_200))]


def test_where_cash_does_not_reach_all_buys_are_cut_alike() -> None:
    made = warmed_up()
    # 404,000 of free cash carry a notional of 400,000 beside the 1 % reserve: half of what is wanted.
    orders = step(made, at(2020, 4, 1), prices(50, 50, 9, 9), cash="404000", fill=False)
    assert [(order.symbol, order.quantity) for order in orders] == [("B.X", Decimal(4_000)), ("A.X", Decimal(4_000))]
    assert made.engine.state.denials == {}


def test_too_few_instruments_with_a_return_change_nothing_and_say_so() -> None:
    made = warmed_up(minimum_symbols=5)
    assert step(made, at(2020, 4, 1), prices(64, 51, 9, 9)) == []
    assert made.of_type(StrategyLogged)[-1].message == "4 instruments have a return, 5 needed; no change"


def test_an_instrument_without_a_price_today_or_a_month_end_is_not_ranked() -> None:
    made = warmed_up(minimum_symbols=1, quantile=1.0)
    assert len(step(made, at(2020, 4, 1), {"A.X": 64.0, "C.X": 9.0}, fill=False)) == 2
    assert [order.symbol for order in made.of_type(OrderSubmitted)] == ["A.X", "C.X"]


def test_a_paused_strategy_rebalances_when_it_goes_on() -> None:
    made = warmed_up()
    made.send(SetStrategyState(0, "mom", "paused", "tester", "holiday"))
    assert step(made, at(2020, 4, 1), prices(64, 51, 9, 9)) == []
    made.send(SetStrategyState(0, "mom", "running", "tester", ""))
    assert len(step(made, at(2020, 4, 9), prices(64, 51, 9, 9))) == 2


def test_denied_sells_are_tried_again() -> None:
    made = warmed_up(settings={"max_quantity": Decimal(7_000)}, retry_steps=2)
    step(made, at(2020, 4, 1), prices(64, 64, 9, 9))  # 6,250 each
    made.engine.state.positions["main", "mom", "B.X"].quantity = Decimal(7_500)
    step(made, at(2020, 4, 30), prices(100, 100, 100, 100))
    days = [step(made, at(2020, 5, number), prices(100, 100, 100, 100), cash="0") for number in (4, 5, 6)]
    assert [[order.symbol for order in found] for found in days] == [["A.X"], [], []]
    assert made.engine.state.denials == {"max-quantity": 2}


@pytest.mark.parametrize(
    ("moment", "month"), [((1970, 1, 1), 1970 * 12), ((1999, 12, 31), 1999 * 12 + 11), ((2000, 1, 1), 2000 * 12)]
)
def test_months_are_counted_in_utc(moment: tuple[int, int, int], month: int) -> None:
    assert month_of(at(*moment)) == month


def test_winners_are_those_of_pandas_on_real_prices() -> None:
    # Oracle: pandas' month ends and shifts over the 20 stocks that ship with skfolio, 1990 to 1994. Only the first and
    # last day of each month are replayed: the rule looks at no other, which is part of what is tested.
    found = find_spec("skfolio")
    assert found is not None
    assert found.origin is not None
    file = Path(found.origin).parent / "datasets/data/sp500_dataset.csv.gz"
    frame = pd.read_csv(file, index_col=0, parse_dates=True).loc["1990":"1994"]  # type: ignore[misc]
    months = frame.index.to_period("M")
    ends = frame.groupby(months).last()
    returns = ends.shift(2) / ends.shift(13) - 1
    edges = frame[~months.duplicated(keep="first") | ~months.duplicated(keep="last")]
    names = tuple(str(name) for name in frame.columns)
    made = harness(names, lookback_months=12, quantile=0.2, minimum_symbols=5)
    winners: dict[str, list[str]] = {}
    for moment, row in edges.iterrows():
        ts = pd.Timestamp(str(moment)).value
        before = len(made.of_type(SignalGenerated))
        step(made, ts, {name: float(row[name]) for name in names})
        signals = made.of_type(SignalGenerated)[before:]
        if signals:
            winners[str(pd.Timestamp(ts).to_period("M"))] = [one.symbol for one in signals if one.side == "buy"]
    complete = returns.dropna()
    expected = {str(month): list(row.sort_values(ascending=False).index[:4]) for month, row in complete.iterrows()}
    assert winners == expected
    assert len(winners) == 60 - 13
