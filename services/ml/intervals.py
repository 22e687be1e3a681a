"""Prediction intervals without a distribution: quantiles of the errors the model has made.

Split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005): if errors go on
as they were, 80 % of outcomes lie within the ``ceil((n + 1) 0.8)``-th smallest of the last n absolute errors around the
forecast. Markets change, so the window is a year of that instrument's own errors, and the measured coverage is shown
beside it.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import msgspec

#: Errors kept per instrument, and needed before there is an interval.
KEPT, NEEDED = 252, 20
COVERAGE = 0.8


class ErrorWindow(msgspec.Struct):
    """The newest absolute errors of one instrument.

    Attributes:
        newest: In order of time, newest last.
        ranked: The same, smallest first.
    """

    newest: list[float] = []
    ranked: list[float] = []

    def add(self, error: float) -> None:
        """Take one error; its sign does not matter."""
        size = abs(error)
        self.newest.append(size)
        insort(self.ranked, size)
        if len(self.newest) > KEPT:
            del self.ranked[bisect_left(self.ranked, self.newest[0])]
            del self.newest[0]

    def half_width(self) -> float | None:
        """Half the width of the 80 % interval, None before there are 20 errors."""
        count = len(self.ranked)
        return self.ranked[(4 * (count + 1) + 4) // 5 - 1] if count >= NEEDED else None
