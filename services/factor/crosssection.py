"""One day of the universe: raw values side by side, and their z-scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, sqrt


@dataclass(frozen=True, slots=True)
class Standardised:
    """Z-scores of one factor.

    Attributes:
        zscores: By symbol; empty when ``reason`` says why there are none.
        reason: ``""`` when there are z-scores.
    """

    zscores: dict[str, float]
    reason: str = ""


def standardise(values: Mapping[str, float]) -> Standardised:
    """``(value - mean) / deviation`` over the instruments that have a value.

    The deviation is the population's (divided by n): the universe of the day is the whole population. Sums are
    exactly rounded, so the order of the symbols does not matter.
    """
    if len(values) < 2:
        return Standardised({}, f"a z-score needs at least 2 instruments with a value; there is {len(values)}")
    column = list(values.values())
    if min(column) == max(column):
        return Standardised({}, f"all {len(values)} instruments have the same value, so its deviation is 0")
    mean = fsum(column) / len(column)
    deviation = sqrt(fsum([(value - mean) * (value - mean) for value in column]) / len(column))
    if deviation == 0.0:
        return Standardised({}, "the values differ by less than their deviation can show")
    return Standardised({symbol: (value - mean) / deviation for symbol, value in values.items()})
