"""Daily closes of an instrument and the RiskMetrics volatility forecast from them.

Variance is the exponentially weighted mean of squared daily log returns, decay .94 (J.P. Morgan/Reuters, RiskMetrics
Technical Document, 4th ed. 1996, 5.2.1), with weights normalised to sum to 1 so that the first return has no more say
than its place; this is ``pandas.Series.ewm(alpha=.06).mean()`` of the squares, the oracle in the tests. The root is
taken last and the forecast is flat in the horizon, as an integrated model's is.
"""

from __future__ import annotations

import math

import msgspec

from services.analytics.returns import DAY_NS

MODEL = "ewma"
DECAY = 0.94
#: Of 20 returns the newest 7 carry half of the weight; below that there is no forecast.
MIN_OBSERVATIONS = 20


class SymbolSeries(msgspec.Struct):
    """What is known of one instrument; prices in its currency.

    Attributes:
        ts_last: Of the newest price, UNIX ns; 0 before the first.
        closes, closed: Last price of each UTC day and its time, oldest first, the running day last; bounded.
        weighted_squares, weights: Exponentially weighted sums of the settled days.
        observations: Settled daily returns.
        is_synthetic: Whether any price behind it is synthetic.
        unusable: Prices at or below zero, or not finite, which restart the series (a log return needs positive ones).
    """

    ts_last: int = 0
    closes: list[float] = []
    closed: list[int] = []
    weighted_squares: float = 0.0
    weights: float = 0.0
    observations: int = 0
    source: str = ""
    is_synthetic: bool = False
    unusable: int = 0

    def price(self, ts: int, close: float, source: str, is_synthetic: bool, keep: int) -> bool:
        """Take in a price; the last one of a UTC day is its close.

        Args:
            keep: Daily closes to keep, at least 2.

        Returns:
            False if it was ignored: older than the newest one, or unusable.
        """
        if ts < self.ts_last:
            return False
        if not (math.isfinite(close) and close > 0.0):
            self.unusable += 1
            self._settle()
            self.closes, self.closed, self.ts_last = [], [], ts
            return False
        if self.closes and ts // DAY_NS == self.closed[-1] // DAY_NS:
            self.closes[-1], self.closed[-1] = close, ts
        else:
            self._settle()
            self.closes.append(close)
            self.closed.append(ts)
            if len(self.closes) > keep:
                del self.closes[0], self.closed[0]
        self.ts_last, self.source = ts, source
        self.is_synthetic = self.is_synthetic or is_synthetic
        return True

    def close_on_day_of(self, ts: int) -> float | None:
        """The last price so far of the UTC day of ``ts``, if that is the running day here too."""
        if self.closes and self.closed[-1] // DAY_NS == ts // DAY_NS:
            return self.closes[-1]
        return None

    def volatility(self, periods: int) -> tuple[float | None, int]:
        """Volatility annualised with ``periods`` days a year, and the returns behind it; None below the minimum."""
        squares, weights, count = self.weighted_squares, self.weights, self.observations
        if len(self.closes) > 1:
            step = math.log(self.closes[-1] / self.closes[-2])
            squares, weights, count = squares * DECAY + step * step, weights * DECAY + 1.0, count + 1
        if count < MIN_OBSERVATIONS:
            return None, count
        return math.sqrt(squares / weights * periods), count

    def _settle(self) -> None:
        if len(self.closes) > 1:
            step = math.log(self.closes[-1] / self.closes[-2])
            self.weighted_squares = self.weighted_squares * DECAY + step * step
            self.weights = self.weights * DECAY + 1.0
            self.observations += 1
