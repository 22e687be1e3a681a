"""Performance functions where no library is the oracle: hand-computed values, gaps, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from libs.finance.performance import (
    PerformanceInputError,
    annual_return,
    annual_volatility,
    as_returns,
    calmar_ratio,
    cum_returns_final,
    hit_rate,
    max_drawdown,
    omega_ratio,
    periods_per_year,
    profit_factor,
    sharpe_ratio,
    sortino_ratio,
    stability_of_timeseries,
    value_at_risk,
)
from libs.finance.performance_benchmark import alpha, beta, down_capture, excess_sharpe, pairwise, up_capture

FEW = [annual_volatility, sharpe_ratio, sortino_ratio, omega_ratio, stability_of_timeseries]


def test_hit_rate_counts_all_periods_and_a_flat_one_is_no_hit() -> None:
    assert hit_rate([0.01, -0.02, 0.0, 0.03]) == 0.5


def test_profit_factor_is_gains_over_losses() -> None:
    assert profit_factor([0.02, -0.01, 0.04, -0.02]) == pytest.approx(2.0, abs=1e-15)
    assert math.isnan(profit_factor([0.02, 0.0]))


def test_drawdown_counts_the_starting_value_as_a_peak() -> None:
    # 1 -> .9 -> .99: the deepest fall is from the start.
    assert max_drawdown([-0.1, 0.1]) == pytest.approx(-0.1, abs=1e-15)


def test_a_year_of_doubling_returns_one_hundred_percent() -> None:
    assert annual_return([2 ** (1 / 252) - 1] * 252) == pytest.approx(1.0, abs=1e-12)


def test_stability_of_constant_growth_is_one() -> None:
    assert stability_of_timeseries([0.01] * 30) == pytest.approx(1.0, abs=1e-12)


def test_equal_returns_have_no_finite_sharpe_ratio() -> None:
    # The mean of 0.1 thirty times is not 0.1: without the exact zero this would be about 1e16.
    assert sharpe_ratio([0.1] * 30) == math.inf
    assert math.isnan(sharpe_ratio([0.0] * 30))


def test_missing_returns_are_dropped() -> None:
    own = [0.01, math.nan, -0.02, 0.03]
    assert annual_return(own) == annual_return([0.01, -0.02, 0.03])
    assert value_at_risk(own) == value_at_risk([0.01, -0.02, 0.03])


def test_missing_returns_are_dropped_from_both_series() -> None:
    own, factor = pairwise([0.01, math.nan, 0.03, 0.04], [0.02, 0.05, math.nan, 0.01])
    assert own.tolist() == [0.01, 0.04]
    assert factor.tolist() == [0.02, 0.01]


@pytest.mark.parametrize("function", FEW)
def test_too_few_returns_give_nan(function: object) -> None:
    assert math.isnan(function([0.01]))  # type: ignore[operator]
    assert math.isnan(function([]))  # type: ignore[operator]


def test_nothing_gives_nan() -> None:
    for function in (annual_return, max_drawdown, calmar_ratio, cum_returns_final, hit_rate, value_at_risk):
        assert math.isnan(function([]))
    for compare in (beta, alpha, excess_sharpe, up_capture, down_capture):
        assert math.isnan(compare([], []))


def test_a_benchmark_that_does_not_move_has_no_slope() -> None:
    assert math.isnan(beta([0.01, 0.02, 0.03], [0.005] * 3))
    assert math.isnan(alpha([0.01, 0.02, 0.03], [0.005] * 3))


def test_a_residual_that_loses_more_than_everything_has_no_alpha() -> None:
    # empyrical answers -1 here, and a gain for other lengths of a year.
    assert math.isnan(alpha([0.0, 0.0, 0.1875], [-0.15625, -0.164062, -0.1875]))


def test_losing_more_than_everything_has_no_compound_rate() -> None:
    assert math.isnan(annual_return([0.1, -1.5]))


def test_a_rate_too_large_for_a_float_is_infinite() -> None:
    assert annual_return([1_000.0, 1_000.0]) == math.inf
    assert math.isnan(calmar_ratio([1_000.0, -0.5, 1_000.0]))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: as_returns(np.zeros((2, 2))), r"shape \(n,\), was \(2, 2\)"),
        (lambda: as_returns([0.1, math.inf]), "finite or NaN"),
        (lambda: periods_per_year("hourly"), "was 'hourly'"),  # type: ignore[arg-type]
        (lambda: periods_per_year(annualization=0), "positive, was 0"),
        (lambda: pairwise([0.1], [0.1, 0.2]), r"one shape, was \(1,\) and \(2,\)"),
    ],
)
def test_refusals_say_what_was_wrong(call: object, text: str) -> None:
    with pytest.raises(PerformanceInputError, match=text):
        call()  # type: ignore[operator]
