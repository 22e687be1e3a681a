"""The RiskMetrics forecast against pandas' exponentially weighted mean, and against its closed form.

Tolerance 1e-12: the same sum in another order of operations.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from services.analytics.volatility import DECAY, MIN_OBSERVATIONS, SymbolSeries
from tests.services.analytics.builders import day


def feed(closes: list[float], keep: int = 253) -> SymbolSeries:
    series = SymbolSeries()
    for number, close in enumerate(closes):
        series.price(day(number), close, "test", False, keep)
    return series


def path(count: int) -> list[float]:
    steps = np.random.default_rng(3).standard_normal(count) * 0.02
    return (100 * np.exp(np.cumsum(steps))).tolist()


@pytest.mark.parametrize("count", [MIN_OBSERVATIONS + 1, 100, 1_000])
def test_forecast_equals_pandas(count: int) -> None:
    closes = path(count)
    volatility, observations = feed(closes).volatility(252)
    squares = pd.Series(np.diff(np.log(closes)) ** 2)
    expected = math.sqrt(squares.ewm(alpha=1 - DECAY, adjust=True).mean().iloc[-1] * 252)
    assert volatility == pytest.approx(expected, rel=1e-12)
    assert observations == count - 1


def test_returns_of_equal_size_give_exactly_that_size() -> None:
    # Whatever the weights are, they sum to 1: sqrt(252) * size.
    closes = [100 * 1.01 ** (number % 2) for number in range(60)]
    volatility, _ = feed(closes).volatility(252)
    assert volatility == pytest.approx(math.log(1.01) * math.sqrt(252), rel=1e-12)


def test_one_shock_decays_by_its_weight() -> None:
    # All returns are 0 but one, k days ago: variance = shock^2 decay^k (1 - decay) / (1 - decay^n).
    quiet, after = 30, 10
    closes = [100.0] * (quiet + 1) + [110.0] * (after + 1)
    count = len(closes) - 1
    volatility, _ = feed(closes).volatility(252)
    variance = math.log(1.1) ** 2 * DECAY**after * (1 - DECAY) / (1 - DECAY**count)
    assert volatility == pytest.approx(math.sqrt(variance * 252), rel=1e-12)


def test_too_few_returns_give_no_forecast() -> None:
    assert feed(path(MIN_OBSERVATIONS)).volatility(252) == (None, MIN_OBSERVATIONS - 1)


def test_the_last_price_of_a_day_is_its_close() -> None:
    closes = path(40)
    series = SymbolSeries()
    for number, close in enumerate(closes):
        series.price(day(number, 10), close * 1.7, "test", False, 253)
        series.price(day(number, 21), close, "test", False, 253)
    assert series.volatility(252) == feed(closes).volatility(252)


def test_history_is_bounded_and_the_forecast_does_not_need_it() -> None:
    closes = path(300)
    short = feed(closes, keep=2)
    assert len(short.closes) == len(short.closed) == 2
    assert short.volatility(252) == feed(closes).volatility(252)


@pytest.mark.parametrize("bad", [0.0, -37.63, math.nan, math.inf])
def test_an_unusable_price_restarts_the_series_without_a_return_across_it(bad: float) -> None:
    closes = path(60)
    series = feed(closes)
    assert not series.price(day(60), bad, "test", False, 253)
    assert series.closes == []
    volatility, observations = series.volatility(252)
    assert (volatility, observations) == (pytest.approx(feed(closes).volatility(252)[0], rel=1e-12), 59)
    series.price(day(61), 500.0, "test", False, 253)
    assert series.volatility(252)[1] == 59
    series.price(day(62), 505.0, "test", False, 253)
    assert series.volatility(252)[1] == 60


def test_an_older_price_is_ignored() -> None:
    series = feed([100.0, 101.0])
    assert not series.price(day(0), 55.0, "test", False, 253)
    assert series.closes == [100.0, 101.0]
