"""Performance of returns beside a benchmark's, with empyrical's names and definitions.

Both series have shape ``(n,)`` and belong to the same periods, oldest first; a period where either is NaN is dropped
from both. The conventions are those of :mod:`libs.finance.performance`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from libs.finance.performance import (
    FloatArray,
    PerformanceInputError,
    Period,
    annual_return,
    as_returns,
    compound_rate,
    periods_per_year,
    ratio,
    sample_deviation,
)

#: Below this variance a benchmark does not move and a slope on it means nothing (empyrical's bound).
LEAST_VARIANCE = 1.0e-30


def pairwise(returns: npt.ArrayLike, factor_returns: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both series without the periods in which either is NaN.

    Raises:
        PerformanceInputError: If they differ in length.
    """
    first = np.asarray(returns, dtype=np.float64)
    second = np.asarray(factor_returns, dtype=np.float64)
    if first.shape != second.shape:
        raise PerformanceInputError(
            f"returns and benchmark must have one shape, was {first.shape} and {second.shape}; align them by date first"
        )
    present = ~(np.isnan(first) | np.isnan(second))
    return as_returns(first[present]), as_returns(second[present])


def beta(returns: npt.ArrayLike, factor_returns: npt.ArrayLike) -> float:
    """Slope on the benchmark: covariance over its variance; NaN where it does not move.

    empyrical takes a ``risk_free`` here too and does not use it: a constant moves neither moment.
    """
    own, factor = pairwise(returns, factor_returns)
    if len(own) < 2:
        return math.nan
    centred = factor - factor.mean()
    variance = float(np.mean(centred * centred))
    return float(np.mean(centred * own)) / variance if variance >= LEAST_VARIANCE else math.nan


def alpha(
    returns: npt.ArrayLike,
    factor_returns: npt.ArrayLike,
    risk_free: float = 0.0,
    period: Period = "daily",
    annualization: float | None = None,
) -> float:
    """Mean residual of the regression on the benchmark, compounded: ``(1 + mean)^p - 1``."""
    own, factor = pairwise(returns, factor_returns)
    slope = beta(own, factor)
    if math.isnan(slope):
        return math.nan
    residual = float(np.mean((own - risk_free) - slope * (factor - risk_free)))
    return compounded(residual, periods_per_year(period, annualization))


def compounded(mean: float, power: float) -> float:
    """``(1 + mean) ** power - 1``; infinite where a float cannot hold it.

    NaN where the mean period loses more than everything: an even power of a negative number would look like a gain,
    which is the one place where this departs from empyrical.
    """
    return compound_rate(1.0 + mean, power)


def excess_sharpe(returns: npt.ArrayLike, factor_returns: npt.ArrayLike) -> float:
    """Mean active return over its deviation (``n - 1``), per period: the information ratio before annualising."""
    own, factor = pairwise(returns, factor_returns)
    if len(own) < 2:
        return math.nan
    return ratio(float(np.mean(own - factor)), sample_deviation(own - factor))


def tracking_error(
    returns: npt.ArrayLike,
    factor_returns: npt.ArrayLike,
    period: Period = "daily",
    annualization: float | None = None,
) -> float:
    """Deviation (``n - 1``) of the active return, times ``sqrt(p)``."""
    own, factor = pairwise(returns, factor_returns)
    return sample_deviation(own - factor) * math.sqrt(periods_per_year(period, annualization))


def information_ratio(
    returns: npt.ArrayLike,
    factor_returns: npt.ArrayLike,
    period: Period = "daily",
    annualization: float | None = None,
) -> float:
    """:func:`excess_sharpe` times ``sqrt(p)``."""
    return excess_sharpe(returns, factor_returns) * math.sqrt(periods_per_year(period, annualization))


def up_capture(
    returns: npt.ArrayLike,
    factor_returns: npt.ArrayLike,
    period: Period = "daily",
    annualization: float | None = None,
) -> float:
    """Annual return over the benchmark's, in the periods in which the benchmark rose."""
    own, factor = pairwise(returns, factor_returns)
    return _capture(own, factor, factor > 0, periods_per_year(period, annualization))


def down_capture(
    returns: npt.ArrayLike,
    factor_returns: npt.ArrayLike,
    period: Period = "daily",
    annualization: float | None = None,
) -> float:
    """Annual return over the benchmark's, in the periods in which the benchmark fell."""
    own, factor = pairwise(returns, factor_returns)
    return _capture(own, factor, factor < 0, periods_per_year(period, annualization))


def capture_ratio(
    returns: npt.ArrayLike,
    factor_returns: npt.ArrayLike,
    period: Period = "daily",
    annualization: float | None = None,
) -> float:
    """:func:`up_capture` over :func:`down_capture` (empyrical's ``up_down_capture``)."""
    p = periods_per_year(period, annualization)
    up = up_capture(returns, factor_returns, annualization=p)
    return ratio(up, down_capture(returns, factor_returns, annualization=p))


def _capture(own: FloatArray, factor: FloatArray, chosen: npt.NDArray[np.bool_], periods: float) -> float:
    if not chosen.any():
        return math.nan
    rate = annual_return(own[chosen], annualization=periods)
    return ratio(rate, annual_return(factor[chosen], annualization=periods))
