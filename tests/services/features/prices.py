"""Price series the feature tests share: seeded, as long as 33 years of days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_NS = 86_400 * 1_000_000_000
#: As many as the longest daily history replayed, so that drift would show.
LENGTH = 8_400

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bars:
    close: Floats
    high: Floats
    low: Floats
    volume: Floats


def walk(length: int = LENGTH, seed: int = 7) -> Bars:
    """A geometric random walk from 0.3, the size of split-adjusted prices of 1990, rounded to a tenth of a cent."""
    generator = np.random.default_rng(seed)
    close = np.round(0.3 * np.exp(np.cumsum(generator.normal(0.0007, 0.018, length))), 3)
    spread = np.round(np.abs(generator.normal(0.0, 0.01, (2, length))) * close, 3)
    volume = np.round(generator.lognormal(12.0, 0.5, length))
    return Bars(close, close + spread[0], close - spread[1], volume)
