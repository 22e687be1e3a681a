"""Statistics over a bounded window, recomputed from the window at every bar.

A running sum to which the newest value is added and from which the oldest is subtracted keeps every rounding error it
ever made. These windows hold 20 values, and ``math.fsum`` adds 20 floats exactly rounded in half a microsecond: cheap
enough to have no drift at all, and the result depends on the window's contents only, not on its past.
"""

from __future__ import annotations

from math import fsum, sqrt

from services.features.definitions import DAYS_PER_YEAR


def mean_and_deviation(window: list[float]) -> tuple[float, float]:
    """Mean and population standard deviation, two passes."""
    size = len(window)
    mean = fsum(window) / size
    return mean, sqrt(fsum([(value - mean) * (value - mean) for value in window]) / size)


def realized_volatility(returns: list[float]) -> float:
    """Annualised sample deviation (n - 1) of daily log returns; a fraction, needs two returns."""
    size = len(returns)
    mean = fsum(returns) / size
    variance = fsum([(value - mean) * (value - mean) for value in returns]) / (size - 1)
    return sqrt(variance * DAYS_PER_YEAR)


def volume_weighted_price(typical: list[float], volumes: list[float]) -> float | None:
    """Typical prices weighted by volume; None when nothing was traded."""
    total = fsum(volumes)
    if total == 0.0:
        return None
    return fsum([price * volume for price, volume in zip(typical, volumes, strict=True)]) / total


def true_range(high: float, low: float, previous_close: float) -> float:
    """Wilder's true range: the bar's range, extended to the close before it."""
    return max(high, previous_close) - min(low, previous_close)
