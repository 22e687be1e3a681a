"""Performance over a chosen window of daily returns, by the whole-series functions of :mod:`libs.finance`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from libs.finance import performance, performance_benchmark
from libs.finance.performance import FloatArray
from services.analytics.returns import DAY_NS, ReturnSeries
from services.analytics.running import Figures
from services.analytics.volatility import SymbolSeries

MetricName = Literal[
    "alpha", "annual_return", "annual_volatility", "beta", "calmar_ratio", "capture_ratio", "conditional_value_at_risk",
    "down_capture", "downside_risk", "excess_sharpe", "hit_rate", "information_ratio", "max_drawdown", "omega_ratio",
    "profit_factor", "sharpe_ratio", "sortino_ratio", "stability_of_timeseries", "tail_ratio", "total_return",
    "tracking_error", "up_capture", "value_at_risk",
]  # fmt: skip
METRIC_NAMES: Final[tuple[MetricName, ...]] = get_args(MetricName)


@dataclass(frozen=True, slots=True)
class Window:
    """Daily returns of a window and a benchmark's over the same periods.

    Attributes:
        returns, factor: Shape ``(n,)``; ``factor`` is NaN where the benchmark has no close at both ends of the period.
        ended: When each period ended, UNIX ns.
        ts_start: When the first period began.
    """

    returns: FloatArray
    factor: FloatArray
    ended: Sequence[int]
    ts_start: int

    @property
    def ts_end(self) -> int:
        """When the last period ended, or the start of an empty window."""
        return self.ended[-1] if self.ended else self.ts_start

    @property
    def benchmark_observations(self) -> int:
        """Periods in which both series have a return."""
        return int(np.count_nonzero(~np.isnan(self.factor)))


def portfolio_window(
    series: ReturnSeries,
    benchmark: SymbolSeries | None,
    last: int | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Window:
    """Returns of a portfolio that ended in ``[start_ns, end_ns)``, of those the ``last`` newest."""
    return _window(*series.history(), benchmark, last, start_ns, end_ns)


def symbol_window(series: SymbolSeries, benchmark: SymbolSeries | None, last: int | None = None) -> Window:
    """Close-to-close returns of an instrument, the ``last`` newest of those kept."""
    closes = np.asarray(series.closes, dtype=np.float64)
    returns = (closes[1:] / closes[:-1] - 1.0).tolist()
    return _window(returns, series.closed[:-1], series.closed[1:], benchmark, last, None, None)


def _window(
    returns: Sequence[float],
    began: Sequence[int],
    ended: Sequence[int],
    benchmark: SymbolSeries | None,
    last: int | None,
    start_ns: int | None,
    end_ns: int | None,
) -> Window:
    low = 0 if start_ns is None else int(np.searchsorted(ended, start_ns))
    high = len(ended) if end_ns is None else int(np.searchsorted(ended, end_ns))
    if last is not None:
        low = max(low, high - last)
    closes = (
        {ts // DAY_NS: close for ts, close in zip(benchmark.closed, benchmark.closes, strict=True)} if benchmark else {}
    )
    factor = [_growth(closes, began[index], ended[index]) for index in range(low, high)]
    start = began[low] if low < high else (start_ns or 0)
    return Window(np.array(returns[low:high], dtype=np.float64), np.array(factor), ended[low:high], start)


def _growth(closes: dict[int, float], began: int, ended: int) -> float:
    first, second = closes.get(began // DAY_NS), closes.get(ended // DAY_NS)
    if first is None or second is None or began // DAY_NS == ended // DAY_NS:
        return math.nan
    return second / first - 1.0


def window_figures(window: Window, names: Iterable[MetricName], risk_free: float, periods: int) -> Figures:
    """Figures of a window by name, and the reason for each that has no finite value.

    Args:
        risk_free: Return per period.
        periods: Periods in a year.
    """
    own, factor = window.returns, window.factor
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name in names:
        value = _FUNCTIONS[name](own, factor, risk_free, periods)
        if math.isfinite(value):
            values[name] = value
        else:
            reasons[name] = _why(name, window)
    return values, reasons


def _why(name: MetricName, window: Window) -> str:
    if name in _RELATIVE and window.benchmark_observations < 2:
        return f"needs at least 2 days with a benchmark return, has {window.benchmark_observations}"
    return _REASONS.get(name, "not defined for these returns")


def per_period(yearly: float, periods: int) -> float:
    """A yearly rate as the return per period that compounds to it."""
    return math.expm1(math.log1p(yearly) / periods)


_REASONS: Final[dict[str, str]] = {
    "calmar_ratio": "no drawdown in the window",
    "profit_factor": "no negative return in the window",
    "omega_ratio": "no return below the threshold in the window",
    "sharpe_ratio": "the returns do not vary",
    "sortino_ratio": "no return below the required one in the window",
    "up_capture": "the benchmark did not rise on any day of the window",
    "down_capture": "the benchmark did not fall on any day of the window",
    "capture_ratio": "the benchmark did not both rise and fall in the window",
    "excess_sharpe": "the active return does not vary",
    "information_ratio": "the active return does not vary",
    "beta": "the benchmark does not move",
    "alpha": "the benchmark does not move",
}
_RELATIVE: Final = frozenset(
    {
        "alpha",
        "beta",
        "capture_ratio",
        "down_capture",
        "excess_sharpe",
        "information_ratio",
        "tracking_error",
        "up_capture",
    }
)
_Metric = Callable[[FloatArray, FloatArray, float, int], float]
_FUNCTIONS: Final[dict[MetricName, _Metric]] = {
    "alpha": lambda own, factor, free, p: performance_benchmark.alpha(own, factor, free, annualization=p),
    "annual_return": lambda own, factor, free, p: performance.annual_return(own, annualization=p),
    "annual_volatility": lambda own, factor, free, p: performance.annual_volatility(own, annualization=p),
    "beta": lambda own, factor, free, p: performance_benchmark.beta(own, factor),
    "calmar_ratio": lambda own, factor, free, p: performance.calmar_ratio(own, annualization=p),
    "capture_ratio": lambda own, factor, free, p: performance_benchmark.capture_ratio(own, factor, annualization=p),
    "conditional_value_at_risk": lambda own, factor, free, p: performance.conditional_value_at_risk(own),
    "down_capture": lambda own, factor, free, p: performance_benchmark.down_capture(own, factor, annualization=p),
    "downside_risk": lambda own, factor, free, p: performance.downside_risk(own, free, annualization=p),
    "excess_sharpe": lambda own, factor, free, p: performance_benchmark.excess_sharpe(own, factor),
    "hit_rate": lambda own, factor, free, p: performance.hit_rate(own),
    "information_ratio": lambda own, factor, free, p: performance_benchmark.information_ratio(
        own, factor, annualization=p
    ),
    "max_drawdown": lambda own, factor, free, p: performance.max_drawdown(own),
    "omega_ratio": lambda own, factor, free, p: performance.omega_ratio(own, free, annualization=p),
    "profit_factor": lambda own, factor, free, p: performance.profit_factor(own),
    "sharpe_ratio": lambda own, factor, free, p: performance.sharpe_ratio(own, free, annualization=p),
    "sortino_ratio": lambda own, factor, free, p: performance.sortino_ratio(own, free, annualization=p),
    "stability_of_timeseries": lambda own, factor, free, p: performance.stability_of_timeseries(own),
    "tail_ratio": lambda own, factor, free, p: performance.tail_ratio(own),
    "total_return": lambda own, factor, free, p: performance.cum_returns_final(own),
    "tracking_error": lambda own, factor, free, p: performance_benchmark.tracking_error(own, factor, annualization=p),
    "up_capture": lambda own, factor, free, p: performance_benchmark.up_capture(own, factor, annualization=p),
    "value_at_risk": lambda own, factor, free, p: performance.value_at_risk(own),
}
