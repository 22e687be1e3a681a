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

    __slots__ = ("_count", "_size", "_squares", "_total")

    def __init__(self, size: int, history: Sequence[float] = ()) -> None:
        self._size = size
        self._count = 0
        self._total = 0
        self._squares = 0
        for value in history[-size:]:
            self._count += 1
            self._add(value, 1)

    def push(self, returns: list[float]) -> None:
        """Take the newest of ``returns``, dropping the one that leaves the window (``returns`` must still hold it)."""
        self._add(returns[-1], 1)
        if self._count == self._size:
            self._add(returns[-1 - self._size], -1)
        else:
            self._count += 1

    def _add(self, value: float, sign: int) -> None:
        whole = int(value * _SCALE)  # scaling by a power of two is exact; int() drops less than 2^-60
        self._total += sign * whole
        self._squares += sign * whole * whole

    def volatility(self) -> float | None:
        """Annualised sample deviation, None until the window is full; its only rounding is the last one."""
        size = self._size
        if self._count < size:
            return None
        spread = size * self._squares - self._total * self._total
        return sqrt(DAYS_PER_YEAR * spread / (size * (size - 1) * _SQUARE))
