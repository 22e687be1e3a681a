"""Moving sums without rounding: integers instead of floats.

Adding the newest value and subtracting the oldest is the cheapest moving sum, and with floats it drifts. Here every
log return is taken as a whole number of 2^-60 (8.7e-19, less than a hundredth of the rounding that the ratio of two
closes carries anyway) and the sums are Python integers: exact whatever happened before, the same in any order, and
rebuilt from the window after a restart to the same bits. An update takes about a microsecond for any window length.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from services.factor.definitions import DAYS_PER_YEAR

_SCALE = float(2**60)
_SQUARE = 2**120


class MovingDeviation:
    """Sum and sum of squares of the newest ``size`` log returns.

    Args:
        size: Returns in the window, at least 2.
        history: Returns to begin with, newest last; only the newest ``size`` count.
    """

    __slots__ = ("_count", "_denominator", "_size", "_squares", "_total")

    def __init__(self, size: int, history: Sequence[float] = ()) -> None:
        window = [_whole(value) for value in history[-size:]]
        self._size = size
        self._count = len(window)
        self._total = sum(window)
        self._squares = sum(value * value for value in window)
        self._denominator = size * (size - 1) * _SQUARE

    def push(self, returns: list[float]) -> None:
        """Take the newest of ``returns``, dropping the one that leaves the window (``returns`` must still hold it)."""
        newest = _whole(returns[-1])
        self._total += newest
        self._squares += newest * newest
        if self._count < self._size:
            self._count += 1
            return
        oldest = _whole(returns[-1 - self._size])
        self._total -= oldest
        self._squares -= oldest * oldest

    def volatility(self) -> float | None:
        """Annualised sample deviation, None until the window is full; only the quotient and its root are rounded."""
        if self._count < self._size:
            return None
        spread = self._size * self._squares - self._total * self._total
        return sqrt(DAYS_PER_YEAR * spread / self._denominator)


def _whole(value: float) -> int:
    # Scaling by a power of two is exact; int() drops less than 2^-60.
    return int(value * _SCALE)
