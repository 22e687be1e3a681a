"""Whole-series performance functions against empyrical-reloaded, the library whose definitions they state.

Tolerance 1e-9 (relative above 1, absolute below): both sides work in doubles; measured differences are below 1e-12.
"""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.finance import performance, performance_benchmark
from libs.finance.performance import PERIODS_PER_YEAR, Period

TOLERANCE = 1e-9
daily = st.floats(-0.2, 0.2).map(lambda value: round(value, 6))
series = st.lists(daily, min_size=2, max_size=80).map(np.array)
pairs = st.lists(st.tuples(daily, daily), min_size=3, max_size=80).map(lambda rows: np.array(rows).T)


def close(ours: float, theirs: float) -> bool:
    if not math.isfinite(theirs):
        return str(ours) == str(float(theirs))
    return math.isclose(ours, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def long_series(days: int = 8_300, seed: int = 42) -> tuple[np.ndarray, np.ndarray]:
    """33 years of days with fat tails, and a correlated benchmark."""
    draw = np.random.default_rng(seed)
    market = draw.standard_t(4, days) * 0.008 + 0.0003
    return 0.9 * market + draw.standard_normal(days) * 0.006, market


PERIODIC = ["annual_return", "annual_volatility", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "downside_risk"]
PLAIN = [
    "max_drawdown", "omega_ratio", "tail_ratio", "value_at_risk", "conditional_value_at_risk", "cum_returns_final",
    "stability_of_timeseries",
]  # fmt: skip


@pytest.mark.parametrize("name", PERIODIC)
@pytest.mark.parametrize("period", sorted(PERIODS_PER_YEAR))
def test_periodic_metric_of_33_years(name: str, period: Period) -> None:
    own, _ = long_series()
    own = own if period == "daily" else own[:600]  # 8,300 weeks would overflow nothing, but are no history
    ours = getattr(performance, name)(own, period=period)
    assert close(ours, getattr(empyrical, name)(own, period=period))
    assert math.isfinite(ours)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_metric_of_33_years(name: str) -> None:
    own, _ = long_series()
    ours = getattr(performance, name)(own)
    assert close(ours, getattr(empyrical, name)(own))
    assert math.isfinite(ours)


@settings(deadline=None)
@given(series)
def test_metrics_of_any_short_series(own: np.ndarray) -> None:
    for name in PERIODIC + [name for name in PLAIN if name not in ("stability_of_timeseries", "tail_ratio")]:
        ours, theirs = getattr(performance, name)(own), getattr(empyrical, name)(own)
        assert close(ours, theirs), f"{name}: {ours} against {theirs}"


@settings(deadline=None)
@given(series, st.floats(-0.01, 0.01))
def test_rates_are_per_period(own: np.ndarray, rate: float) -> None:
    assert close(performance.sharpe_ratio(own, rate), empyrical.sharpe_ratio(own, risk_free=rate))
    assert close(performance.sortino_ratio(own, rate), empyrical.sortino_ratio(own, required_return=rate))
    assert close(performance.omega_ratio(own, rate), empyrical.omega_ratio(own, risk_free=rate))


@settings(deadline=None)
@given(pairs)
def test_metrics_beside_a_benchmark(both: np.ndarray) -> None:
    own, factor = both
    assert close(performance_benchmark.beta(own, factor), empyrical.beta(own, factor))
    slope = empyrical.beta(own, factor)
    residual = np.mean(own - 0.0001 - slope * (factor - 0.0001))
    if residual > -1:  # below that empyrical raises a negative number to an even power; see compounded()
        with np.errstate(over="ignore"):
            assert close(performance_benchmark.alpha(own, factor, 0.0001), empyrical.alpha(own, factor, 0.0001))
    assert close(performance_benchmark.excess_sharpe(own, factor), float(empyrical.excess_sharpe(own, factor)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("up_capture", "up_capture"), ("down_capture", "down_capture"), ("capture_ratio", "up_down_capture")],
)
def test_captures_of_33_years(ours: str, theirs: str) -> None:
    own, factor = long_series(500)
    assert close(getattr(performance_benchmark, ours)(own, factor), getattr(empyrical, theirs)(own, factor))


def test_alpha_and_beta_of_33_years() -> None:
    own, factor = long_series()
    alpha, beta = empyrical.alpha_beta(own, factor)
    assert close(performance_benchmark.alpha(own, factor), alpha)
    assert close(performance_benchmark.beta(own, factor), beta)
    assert abs(beta - 0.9) < 0.02


def test_information_ratio_annualises_the_excess_sharpe() -> None:
    own, factor = long_series(500)
    active = own - factor
    expected = active.mean() / active.std(ddof=1) * math.sqrt(252)
    assert close(performance_benchmark.information_ratio(own, factor), expected)
    assert close(performance_benchmark.tracking_error(own, factor), empyrical.annual_volatility(active))


def test_cum_returns_path() -> None:
    own, _ = long_series(500)
    assert np.allclose(performance.cum_returns(own), empyrical.cum_returns(own), rtol=TOLERANCE, atol=TOLERANCE)
    started = performance.cum_returns(own, 1_000.0)
    assert np.allclose(started, empyrical.cum_returns(own, 1_000.0), rtol=TOLERANCE)
