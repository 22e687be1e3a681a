"""Performance of a series of periodic simple returns, with empyrical's names, signatures and definitions.

Every function takes returns of shape ``(n,)`` as fractions (0.01 = 1 %), oldest first. NaN is dropped before anything
else; too few observations give NaN, a division by a dispersion of zero gives infinity, as in empyrical. The values
agree with empyrical-reloaded within 1e-9 (``tests/libs/finance/test_performance_against_empyrical.py``).

``period`` is daily, weekly, monthly or yearly (252, 52, 12 or 1 periods a year); ``annualization`` overrides it.
``risk_free`` and ``required_return`` are returns **per period**, not per year.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Period = Literal["daily", "weekly", "monthly", "yearly"]

#: Periods in a year, by name of the period.
PERIODS_PER_YEAR: Final[dict[Period, int]] = {"daily": 252, "weekly": 52, "monthly": 12, "yearly": 1}


class PerformanceInputError(ValueError):
    """The returns, or what they are compared with, have a shape or a value no metric is defined for."""


def as_returns(returns: npt.ArrayLike) -> FloatArray:
    """Returns as a float array of shape ``(n,)`` without NaN.

    Raises:
        PerformanceInputError: If they are not one-dimensional, or one is infinite.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 1:
        raise PerformanceInputError(f"returns must have shape (n,), was {values.shape}; pass one series at a time")
    kept: FloatArray = values[~np.isnan(values)]
    if not np.isfinite(kept).all():
        raise PerformanceInputError("returns must be finite or NaN, was an infinite one; remove it")
    return kept


def periods_per_year(period: Period = "daily", annualization: float | None = None) -> float:
    """The annualisation factor.

    Raises:
        PerformanceInputError: If ``period`` is unknown or ``annualization`` is not positive.
    """
    if annualization is not None:
        if not annualization > 0:
            raise PerformanceInputError(f"annualization must be positive, was {annualization}; 252 is daily")
        return float(annualization)
    try:
        return float(PERIODS_PER_YEAR[period])
    except KeyError:
        known = ", ".join(PERIODS_PER_YEAR)
        raise PerformanceInputError(f"period must be one of {known}, was '{period}'") from None


def ratio(numerator: float, denominator: float) -> float:
    """``numerator / denominator``; infinite or NaN over zero, as IEEE 754 and empyrical have it."""
    if denominator != 0:
        return numerator / denominator
    return math.nan if numerator == 0 or math.isnan(numerator) else math.copysign(math.inf, numerator)


def sample_deviation(values: FloatArray) -> float:
    """Standard deviation with ``n - 1``; exactly 0 where all values are equal, NaN under two values.

    The mean of equal values can differ from them in the last bit; dividing by that residue would turn an undefined
    ratio into a finite one near 1e15.
    """
    if len(values) < 2:
        return math.nan
    if values.max() == values.min():
        return 0.0
    return float(np.std(values, ddof=1))


# -- returns --------------------------------------------------------------------------------------


def cum_returns(returns: npt.ArrayLike, starting_value: float = 0.0) -> FloatArray:
    """Compounded returns, shape ``(n,)``; with a ``starting_value`` the value of that much invested."""
    wealth: FloatArray = np.cumprod(as_returns(returns) + 1.0, dtype=np.float64)
    return wealth - 1.0 if starting_value == 0 else wealth * starting_value


def cum_returns_final(returns: npt.ArrayLike, starting_value: float = 0.0) -> float:
    """The last of :func:`cum_returns`; NaN without returns."""
    values = as_returns(returns)
    if not len(values):
        return math.nan
    wealth = float(np.prod(values + 1.0))
    return wealth - 1.0 if starting_value == 0 else wealth * starting_value


def annual_return(returns: npt.ArrayLike, period: Period = "daily", annualization: float | None = None) -> float:
    """Compound annual growth rate: ``(1 + total)^(p / n) - 1``; NaN once more than everything is lost."""
    values = as_returns(returns)
    if not len(values):
        return math.nan
    return compound_rate(cum_returns_final(values, 1.0), periods_per_year(period, annualization) / len(values))


def compound_rate(wealth: float, power: float) -> float:
    """``wealth ** power - 1``; infinite where a float cannot hold it, NaN for a wealth below zero."""
    if wealth < 0:
        return math.nan
    try:
        return float(wealth**power) - 1.0
    except OverflowError:
        return math.inf


# -- risk -----------------------------------------------------------------------------------------


def annual_volatility(returns: npt.ArrayLike, period: Period = "daily", annualization: float | None = None) -> float:
    """Sample standard deviation (``n - 1``) times ``sqrt(p)``."""
    values = as_returns(returns)
    return (
        float(np.std(values, ddof=1)) * math.sqrt(periods_per_year(period, annualization))
        if len(values) > 1
        else math.nan
    )


def downside_risk(
    returns: npt.ArrayLike,
    required_return: float = 0.0,
    period: Period = "daily",
    annualization: float | None = None,
) -> float:
    """Root mean square of the shortfalls below ``required_return``, over **all** n, times ``sqrt(p)``."""
    values = as_returns(returns)
    if not len(values):
        return math.nan
    shortfalls = np.minimum(values - required_return, 0.0)
    return math.sqrt(float(np.mean(shortfalls * shortfalls))) * math.sqrt(periods_per_year(period, annualization))


def max_drawdown(returns: npt.ArrayLike) -> float:
    """Deepest fall from a peak as a negative fraction of it; the starting value 1 counts as the first peak."""
    values = as_returns(returns)
    if not len(values):
        return math.nan
    wealth = np.concatenate(([1.0], np.cumprod(values + 1.0)))
    peaks = np.maximum.accumulate(wealth)
    return float(np.min((wealth - peaks) / peaks))


def value_at_risk(returns: npt.ArrayLike, cutoff: float = 0.05) -> float:
    """The ``cutoff`` quantile of the returns (linear interpolation); a loss is negative."""
    values = as_returns(returns)
    return float(np.percentile(values, 100.0 * cutoff)) if len(values) else math.nan


def conditional_value_at_risk(returns: npt.ArrayLike, cutoff: float = 0.05) -> float:
    """Mean of the ``int((n - 1) cutoff) + 1`` lowest returns."""
    values = as_returns(returns)
    if not len(values):
        return math.nan
    lowest = int((len(values) - 1) * cutoff)
    return float(np.mean(np.sort(values)[: lowest + 1]))


# -- ratios ---------------------------------------------------------------------------------------


def sharpe_ratio(
    returns: npt.ArrayLike, risk_free: float = 0.0, period: Period = "daily", annualization: float | None = None
) -> float:
    """Mean excess return over its deviation (``n - 1``), times ``sqrt(p)`` (Sharpe 1994)."""
    excess = as_returns(returns) - risk_free
    if len(excess) < 2:
        return math.nan
    return ratio(float(np.mean(excess)), sample_deviation(excess)) * math.sqrt(periods_per_year(period, annualization))


def sortino_ratio(
    returns: npt.ArrayLike, required_return: float = 0.0, period: Period = "daily", annualization: float | None = None
) -> float:
    """Annualised mean excess over ``required_return``, divided by :func:`downside_risk`."""
    values = as_returns(returns)
    if len(values) < 2:
        return math.nan
    mean = float(np.mean(values - required_return)) * periods_per_year(period, annualization)
    return ratio(mean, downside_risk(values, required_return, period, annualization))


def calmar_ratio(returns: npt.ArrayLike, period: Period = "daily", annualization: float | None = None) -> float:
    """:func:`annual_return` over the size of :func:`max_drawdown`; NaN without a drawdown."""
    deepest = max_drawdown(returns)
    if not deepest < 0:
        return math.nan
    value = annual_return(returns, period, annualization) / abs(deepest)
    return math.nan if math.isinf(value) else value


def omega_ratio(
    returns: npt.ArrayLike, risk_free: float = 0.0, required_return: float = 0.0, annualization: float = 252
) -> float:
    """Gains over losses around a threshold; here ``required_return`` is **per year**, as in empyrical."""
    values = as_returns(returns)
    if len(values) < 2 or required_return <= -1:
        return math.nan
    threshold = required_return if annualization == 1 else (1.0 + required_return) ** (1.0 / annualization) - 1.0
    excess = values - risk_free - threshold
    losses = -float(np.sum(excess[excess < 0]))
    return float(np.sum(excess[excess > 0])) / losses if losses > 0 else math.nan


def tail_ratio(returns: npt.ArrayLike) -> float:
    """Size of the 95th percentile over size of the 5th."""
    values = as_returns(returns)
    if not len(values):
        return math.nan
    return ratio(abs(float(np.percentile(values, 95))), abs(float(np.percentile(values, 5))))


def stability_of_timeseries(returns: npt.ArrayLike) -> float:
    """R squared of a straight line through the logarithm of the cumulative return."""
    values = as_returns(returns)
    if len(values) < 2 or values.min() <= -1:
        return math.nan
    path = np.cumsum(np.log1p(values))
    path = path - path.mean()
    time = np.arange(len(path)) - (len(path) - 1) / 2
    spread = float(path @ path) * float(time @ time)
    return float(path @ time) ** 2 / spread if spread > 0 else math.nan


# -- counts (no empyrical namesake) ---------------------------------------------------------------


def hit_rate(returns: npt.ArrayLike) -> float:
    """Share of all periods with a return above zero; a flat period is no hit."""
    values = as_returns(returns)
    return float(np.mean(values > 0)) if len(values) else math.nan


def profit_factor(returns: npt.ArrayLike) -> float:
    """Sum of the positive returns over the size of the sum of the negative ones; NaN without a loss."""
    values = as_returns(returns)
    losses = -float(np.sum(values[values < 0]))
    return float(np.sum(values[values > 0])) / losses if losses > 0 else math.nan
