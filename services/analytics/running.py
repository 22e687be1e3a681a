"""Running statistics of a return series: exact in constant time, so that every step can publish its performance.

Mean and variance follow Welford (1962), the co-moment follows Bennett et al. (2009); everything is added in the order
of time, so the same returns give the same bits. ``tests/services/analytics/test_running.py`` holds them to empyrical
on the whole series within 1e-9.
"""

from __future__ import annotations

import math
from copy import copy

import msgspec

#: Below this variance per period a benchmark does not move (empyrical's bound).
LEAST_VARIANCE = 1.0e-30


class RunningReturns(msgspec.Struct):
    """Statistics of the returns added so far; returns are fractions per period.

    Attributes:
        squares: Sum of squared differences from the mean.
        downside_squares: Sum of squares of the negative returns.
        gains, losses: Sums of the positive returns and of the sizes of the negative ones.
        wealth, peak: Value of 1 invested at the start, and its highest value (at least 1).
        max_drawdown: Lowest ``wealth / peak - 1``, 0 or negative.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    downside_squares: float = 0.0
    gains: float = 0.0
    losses: float = 0.0
    positive: int = 0
    lowest: float = math.inf
    highest: float = -math.inf
    wealth: float = 1.0
    peak: float = 1.0
    max_drawdown: float = 0.0

    def add(self, value: float) -> None:
        """Take in the return of the next period."""
        self.count += 1
        difference = value - self.mean
        self.mean += difference / self.count
        self.squares += difference * (value - self.mean)
        if value > 0.0:
            self.positive += 1
            self.gains += value
        elif value < 0.0:
            self.losses -= value
            self.downside_squares += value * value
        if value < self.lowest:
            self.lowest = value
        if value > self.highest:
            self.highest = value
        self.wealth *= 1.0 + value
        if self.wealth > self.peak:
            self.peak = self.wealth
        fall = (self.wealth - self.peak) / self.peak
        if fall < self.max_drawdown:
            self.max_drawdown = fall

    def extended(self, value: float) -> RunningReturns:
        """A copy that has taken in ``value`` too: the day that is not over yet."""
        longer = copy(self)
        longer.add(value)
        return longer

    def deviation(self) -> float:
        """Sample standard deviation; exactly 0 where all returns are equal (their mean may differ in its last bit)."""
        if self.count < 2 or self.lowest == self.highest:
            return 0.0
        return math.sqrt(self.squares / (self.count - 1))


class RunningPair(msgspec.Struct):
    """Co-moments of a portfolio's returns and a benchmark's over the periods in which both exist."""

    count: int = 0
    mean: float = 0.0
    benchmark_mean: float = 0.0
    benchmark_squares: float = 0.0
    products: float = 0.0

    def add(self, value: float, benchmark: float) -> None:
        """Take in both returns of the next common period."""
        self.count += 1
        difference = benchmark - self.benchmark_mean
        self.benchmark_mean += difference / self.count
        self.mean += (value - self.mean) / self.count
        self.benchmark_squares += difference * (benchmark - self.benchmark_mean)
        self.products += difference * (value - self.mean)

    def extended(self, value: float, benchmark: float) -> RunningPair:
        """A copy that has taken in this period too."""
        longer = copy(self)
        longer.add(value, benchmark)
        return longer


Figures = tuple[dict[str, float], dict[str, str]]


def performance_of(returns: RunningReturns, periods: float) -> Figures:
    """Performance figures by name, and the reason for each that has no value.

    Definitions are those of :mod:`libs.finance.performance`; what is not finite there is missing here.

    Args:
        returns: The series.
        periods: Periods in a year.
    """
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    if returns.count < 2:
        reason = f"needs at least 2 returns, has {returns.count}"
        return values, dict.fromkeys(PERFORMANCE_NAMES, reason)
    root = math.sqrt(periods)
    deviation = returns.deviation()
    values["total_return"] = returns.wealth - 1.0
    values["annual_volatility"] = deviation * root
    values["max_drawdown"] = returns.max_drawdown
    values["hit_rate"] = returns.positive / returns.count
    yearly = _annual_return(returns, periods)
    if yearly is None:
        missing["annual_return"] = "the compounded rate is outside the range of numbers"
        missing["calmar_ratio"] = missing["annual_return"]
    else:
        values["annual_return"] = yearly
        _put(values, missing, "calmar_ratio", yearly, -returns.max_drawdown, "no drawdown so far")
    _put(values, missing, "sharpe_ratio", returns.mean * root, deviation, "the returns do not vary")
    downside = math.sqrt(returns.downside_squares / returns.count)
    _put(values, missing, "sortino_ratio", returns.mean * root, downside, "no negative return so far")
    _put(values, missing, "profit_factor", returns.gains, returns.losses, "no negative return so far")
    return values, missing


def regression_of(pair: RunningPair, periods: float) -> Figures:
    """``alpha`` and ``beta`` on the benchmark (empyrical's definitions), or why there are none."""
    if pair.count < 2:
        reason = f"needs at least 2 days with a benchmark close, has {pair.count}"
        return {}, {"alpha": reason, "beta": reason}
    variance = pair.benchmark_squares / pair.count
    if variance < LEAST_VARIANCE:
        return {}, dict.fromkeys(("alpha", "beta"), "the benchmark does not move")
    slope = pair.products / pair.benchmark_squares
    residual = pair.mean - slope * pair.benchmark_mean
    rate = None if residual <= -1.0 else _power(math.log1p(residual) * periods)
    if rate is None:
        return {"beta": slope}, {"alpha": "the compounded residual is outside the range of numbers"}
    return {"beta": slope, "alpha": rate}, {}


#: Every figure :func:`performance_of` may give.
PERFORMANCE_NAMES = (
    "annual_return",
    "annual_volatility",
    "calmar_ratio",
    "hit_rate",
    "max_drawdown",
    "profit_factor",
    "sharpe_ratio",
    "sortino_ratio",
    "total_return",
)


def _annual_return(returns: RunningReturns, periods: float) -> float | None:
    # The series stops at a total loss (see returns.py); only a float's underflow could still bring a zero here.
    return _power(math.log(returns.wealth) * (periods / returns.count)) if returns.wealth > 0.0 else None


def _power(logarithm: float) -> float | None:
    try:
        return math.expm1(logarithm)
    except OverflowError:
        return None


def _put(
    values: dict[str, float], missing: dict[str, str], name: str, numerator: float, denominator: float, reason: str
) -> None:
    if denominator > 0.0:
        values[name] = numerator / denominator
    else:
        missing[name] = reason
