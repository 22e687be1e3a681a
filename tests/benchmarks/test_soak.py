"""Memory stays flat while events run through: three hundred thousand in the suite, twenty million in `make soak`."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

from benchmarks.soak import Line, expected, fit, soak

SOAK = bool(os.environ.get("NAUTILUS_SOAK"))
EVENTS, ROUNDS = (20_000_000, 200) if SOAK else (300_000, 40)


def test_memory_stays_flat() -> None:
    found = soak(EVENTS, ROUNDS)
    print("\n" + found.table())
    assert found.events[-1] >= 0.99 * EVENTS
    assert set(found.bytes) == {"redis", "features", "strategy", "portfolio"}
    assert [name for name, line in found.lines().items() if not line.is_flat] == [], found.table()


def test_the_line_is_that_of_least_squares() -> None:
    draw = random.Random(7)
    events = [1000.0 * step for step in range(50)]
    readings = [5e7 + 0.3 * x + draw.gauss(0, 4096) for x in events]
    line = fit(events, readings)
    (slope, _), covariance = np.polyfit(events, readings, 1, cov=True)
    assert line.slope == pytest.approx(slope, rel=1e-9)
    assert line.error == pytest.approx(covariance[0, 0] ** 0.5, rel=1e-9)
    with pytest.raises(ValueError, match="at least 3, was 2"):
        fit([0.0, 1.0], [0.0, 1.0])


@pytest.mark.parametrize(("bytes_an_event", "flat"), [(0.0, True), (8.0, False), (100.0, False)])
def test_a_leak_shows(bytes_an_event: float, flat: bool) -> None:
    """Eight bytes kept of each of 200 thousand events, in a process of 50 MB whose readings scatter by pages."""
    draw = random.Random(11)
    events = [7_500.0 * step for step in range(30)]
    readings = [5e7 + bytes_an_event * x + 4096 * draw.randint(-20, 20) for x in events]
    assert fit(events, readings).is_flat is flat


def test_noise_without_a_trend_is_flat_however_large() -> None:
    line = Line(n=30, level=1e6, slope=1.0, error=0.5, span=1e6)
    assert line.is_flat
    assert line.growth == 1e6


def test_what_the_engines_must_have_handled() -> None:
    """Against counting one by one."""
    for quotes in (0, 1, 199, 200, 3_999, 4_000, 4_001, 12_345):
        seen: dict[int, int] = {}
        features: dict[int, int] = {}
        signals = 0
        for number in range(quotes):
            symbol = number % 200
            seen[symbol] = seen.get(symbol, 0) + 1
            if seen[symbol] % 4 == 0:
                features[symbol] = features.get(symbol, 0) + 1
                signals += features[symbol] % 5 == 0
        assert expected(quotes) == {"features": quotes, "strategy": sum(features.values()), "portfolio": signals}
