"""Moving sums of integers: exact after any history, equal to a rebuild, equal to rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from services.factor.crosssection import standardise
from services.factor.exact import MovingDeviation

returns = st.lists(st.floats(-40.0, 40.0, allow_nan=False), min_size=1, max_size=60)


def slide(size: int, values: list[float]) -> MovingDeviation:
    moving = MovingDeviation(size)
    kept: list[float] = []
    for value in values:
        kept.append(value)
        moving.push(kept)
    return moving


@given(st.integers(2, 20), returns)
@settings(max_examples=150, deadline=None)
def test_sliding_equals_rebuilding_to_the_last_bit(size: int, values: list[float]) -> None:
    moved, rebuilt = slide(size, values).volatility(), MovingDeviation(size, values).volatility()
    assert moved == rebuilt
    assert (moved is None) == (len(values) < size)


@given(st.integers(2, 20), returns)
@settings(max_examples=150, deadline=None)
def test_it_is_the_sample_deviation(size: int, values: list[float]) -> None:
    volatility = slide(size, values).volatility()
    if volatility is None:
        return
    window = [Fraction(value) for value in values[-size:]]
    mean = sum(window) / size
    variance = sum((value - mean) ** 2 for value in window) / (size - 1)
    # Dropping below 2^-60 moves each return by 8.7e-19 at most, hence the deviation by less than 2e-17 a year.
    assert math.isclose(volatility, math.sqrt(252 * variance), rel_tol=1e-14, abs_tol=1e-15)


def test_a_crash_that_left_the_window_leaves_nothing_behind() -> None:
    calm = [0.001, -0.002, 0.0015, 0.0005]
    assert slide(4, [*calm, 35.0, -35.0, *calm]).volatility() == slide(4, calm).volatility()


def test_equal_returns_have_no_volatility() -> None:
    assert slide(5, [0.01] * 9).volatility() == 0.0


def test_a_lonely_or_constant_cross_section_has_no_zscore_and_says_why() -> None:
    assert standardise({}).reason == "a z-score needs at least 2 instruments with a value; there is 0"
    assert standardise({"A.X": 1.0}).zscores == {}
    assert standardise({"A.X": 1.0}).reason == "a z-score needs at least 2 instruments with a value; there is 1"
    constant = standardise({"A.X": 0.1, "B.X": 0.1, "C.X": 0.1})
    assert constant.zscores == {}
    assert constant.reason == "all 3 instruments have the same value, so its deviation is 0"


def test_two_instruments_lie_one_deviation_from_their_mean() -> None:
    assert standardise({"A.X": 1.0, "B.X": 3.0}).zscores == {"A.X": -1.0, "B.X": 1.0}


cross_sections = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=2, max_size=30)


@given(cross_sections, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_instruments_changes_no_bit(column: list[float], shuffler: object) -> None:
    values = {f"S{index}.X": value for index, value in enumerate(column)}
    order = list(values)
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    done, shuffled = standardise(values), standardise({symbol: values[symbol] for symbol in order})
    assert done.zscores == shuffled.zscores
    assert done.reason == shuffled.reason
    if done.zscores:
        assert all(math.isfinite(score) for score in done.zscores.values())
        assert all(abs(score) <= math.sqrt(len(column) - 1) + 1e-6 for score in done.zscores.values())  # Samuelson
    else:
        assert done.reason
