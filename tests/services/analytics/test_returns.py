"""Time-weighted returns from valuations: flows, days, gaps, losses."""

from __future__ import annotations

import math
from decimal import Decimal

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics import returns as returns_module
from services.analytics.returns import ReturnSeries
from services.analytics.running import regression_of
from services.analytics.windows import portfolio_window, window_figures
from tests.services.analytics.builders import day


def value(series: ReturnSeries, ts: int, equity: str, flows: str = "0", benchmark: float | None = None) -> bool:
    return series.value(ts, Decimal(equity), Decimal(flows), benchmark)


def test_a_deposit_is_no_gain_and_a_withdrawal_no_loss() -> None:
    series = ReturnSeries()
    value(series, day(0), "100")
    value(series, day(1), "200", flows="100")
    value(series, day(2), "50", flows="-50")
    assert series.history()[0] == [0.0, 0.0]


def test_a_flow_is_invested_from_the_previous_valuation_on() -> None:
    series = ReturnSeries()
    value(series, day(0), "100")
    value(series, day(1), "220", flows="100")  # 200 became 220
    assert series.history()[0] == [0.1]


def test_taking_out_more_than_there_was_takes_what_was_earned() -> None:
    series = ReturnSeries()
    value(series, day(0), "100")
    value(series, day(1), "0", flows="-110")
    assert series.history()[0] == [0.1]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-0.3, 0.3), st.integers(-40, 500)), min_size=1, max_size=30))
def test_flows_do_not_change_the_return_that_prices_made(steps: list[tuple[float, int]]) -> None:
    series = ReturnSeries()
    equity, flows, wealth = Decimal(1_000), Decimal(0), 1.0
    series.value(day(0), equity, flows, None)
    for number, (change, flow) in enumerate(steps, 1):
        growth = Decimal(repr(1.0 + change))
        if equity + flow <= 0:
            continue
        equity, flows, wealth = (equity + flow) * growth, flows + flow, wealth * (1.0 + change)
        series.value(day(number), equity, flows, None)
    assert series.current().wealth == pytest.approx(wealth, rel=1e-9)


def test_valuations_of_one_day_are_one_return() -> None:
    series = ReturnSeries()
    value(series, day(0), "100")
    for hour, equity in ((10, "110"), (15, "99"), (21, "121")):
        value(series, day(1, hour), equity)
    assert series.history()[0] == [pytest.approx(0.21, abs=1e-15)]
    assert series.settled.count == 0
    value(series, day(2), "121")
    assert series.settled.count == 1
    assert series.history()[2] == [day(1, 21), day(2)]


def test_the_running_day_is_part_of_the_figures() -> None:
    series = ReturnSeries()
    value(series, day(0), "100")
    value(series, day(1), "90")
    assert series.current().max_drawdown == pytest.approx(-0.1, abs=1e-15)


def test_an_empty_portfolio_has_no_returns_and_begins_anew() -> None:
    series = ReturnSeries()
    value(series, day(0), "100")
    value(series, day(1), "0", flows="-100")
    value(series, day(2), "0", flows="-100")
    value(series, day(5), "0", flows="-100")
    value(series, day(6), "55", flows="-50")
    returns, began, ended = series.history()
    assert returns == [0.0, pytest.approx(0.1, abs=1e-15)]
    assert list(zip(began, ended, strict=True)) == [(day(0), day(1)), (day(5), day(6))]


@pytest.mark.parametrize("equity", ["0", "-12"])
def test_after_a_total_loss_there_is_no_return(equity: str) -> None:
    series = ReturnSeries()
    value(series, day(0), "100")
    value(series, day(1), equity)
    assert series.problem.startswith(f"equity was {equity} on 2020-01-02T21:00:00")
    assert not value(series, day(2), "100", flows="100")
    assert series.history()[0] == []


def test_an_older_valuation_is_ignored() -> None:
    series = ReturnSeries()
    value(series, day(1), "100")
    assert not value(series, day(0), "50")
    value(series, day(2), "101")
    assert series.history()[0] == [pytest.approx(0.01, abs=1e-15)]


def test_history_is_bounded_and_running_figures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returns_module, "MAX_RETURNS", 3)
    series = ReturnSeries()
    for number in range(8):
        value(series, day(number), str(100 + number))
    assert series.history()[2] == [day(number) for number in (4, 5, 6, 7)]
    assert series.current().count == 7
    assert series.current().wealth == pytest.approx(1.07, rel=1e-12)


def test_average_equity_is_the_mean_close_of_the_days_with_a_return() -> None:
    series = ReturnSeries()
    assert series.average_equity() is None
    for number, equity in enumerate(("100", "110", "130")):
        value(series, day(number), equity)
    assert series.average_equity() == Decimal(120)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(50, 150), st.none() | st.floats(50, 150)), min_size=6, max_size=30))
def test_only_days_with_a_benchmark_at_both_ends_enter_the_regression(rows: list[tuple[float, float | None]]) -> None:
    series = ReturnSeries()
    for number, (equity, benchmark) in enumerate(rows):
        series.value(day(number), Decimal(repr(equity)), Decimal(0), benchmark)
    equities = np.array([row[0] for row in rows])
    closes = np.array([math.nan if row[1] is None else row[1] for row in rows])
    own, factor = equities[1:] / equities[:-1] - 1, closes[1:] / closes[:-1] - 1
    present = ~np.isnan(factor)
    assert series.current_pair().count == present.sum()
    if present.sum() >= 2 and np.ptp(factor[present]) > 1e-6:
        values, _ = regression_of(series.current_pair(), 252)
        assert values["beta"] == pytest.approx(empyrical.beta(own[present], factor[present]), rel=1e-6, abs=1e-9)


def test_a_window_is_the_newest_returns_of_a_range() -> None:
    series = ReturnSeries()
    for number, equity in enumerate((100, 110, 99, 121, 133.1)):
        value(series, day(number), str(equity))
    window = portfolio_window(series, None, last=2)
    assert window.returns.tolist() == [pytest.approx(121 / 99 - 1), pytest.approx(0.1)]
    assert (window.ts_start, window.ts_end) == (day(2), day(4))
    ranged = portfolio_window(series, None, start_ns=day(1), end_ns=day(3))
    assert ranged.ended == [day(1), day(2)]
    values, reasons = window_figures(ranged, ["total_return", "beta"], 0.0, 252)
    assert values["total_return"] == pytest.approx(-0.01)
    assert reasons == {"beta": "needs at least 2 days with a benchmark return, has 0"}
