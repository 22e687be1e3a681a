"""Scores: rank correlation against scipy, hit rate and errors by hand, intervals against their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ml.intervals import KEPT, NEEDED, ErrorWindow
from services.ml.record import Record, average_ranks, rank_correlation

#: Few distinct values, so that ties are common.
coarse = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=0, max_size=25)


@given(coarse)
@settings(max_examples=200, deadline=None)
def test_rank_correlation_is_scipys_ties_included(pairs: list[tuple[int, int]]) -> None:
    left, right = [float(pair[0]) for pair in pairs], [float(pair[1]) for pair in pairs]
    found = rank_correlation(left, right)
    if len(pairs) < 3 or len(set(left)) < 2 or len(set(right)) < 2:
        assert found is None
        return
    assert found == pytest.approx(float(scipy.stats.spearmanr(left, right).statistic), abs=1e-12)


@given(st.lists(st.integers(-5, 5), max_size=20))
@settings(max_examples=100, deadline=None)
def test_ranks_are_scipys(values: list[int]) -> None:
    assert average_ranks([float(value) for value in values]) == scipy.stats.rankdata(values).tolist()


def test_hits_count_only_where_both_sides_have_a_sign() -> None:
    record = Record()
    for prediction, mean, outcome in (
        (0.01, 0.001, 0.02),  # right, mean right
        (-0.01, 0.001, 0.02),  # wrong, mean right
        (-0.01, 0.001, -0.03),  # right, mean wrong
        (0.01, 0.001, 0.0),  # no outcome sign: neither
        (0.0, 0.001, 0.01),  # no prediction sign: neither, mean right
        (0.02, 0.0, 0.01),  # right, mean has no sign
    ):
        record.score(prediction, mean, None, outcome)
    figures = record.figures()
    assert record.observations == 6
    assert figures["directional_observations"] == 4.0
    assert figures["hit_rate"] == 3 / 4
    assert figures["hit_rate_naive_mean"] == 3 / 4
    assert figures["interval_coverage"] is None


def test_errors_stand_beside_the_naive_ones() -> None:
    record = Record()
    record.score(0.01, 0.002, 0.015, 0.02)
    record.score(-0.01, 0.004, 0.005, 0.01)
    figures = record.figures()
    model, zero, mean = (0.01**2 + 0.02**2) / 2, (0.02**2 + 0.01**2) / 2, (0.018**2 + 0.006**2) / 2
    assert figures["mean_squared_error"] == pytest.approx(model)
    assert figures["mean_squared_error_naive_zero"] == pytest.approx(zero)
    assert figures["mean_squared_error_naive_mean"] == pytest.approx(mean)
    assert figures["r2_against_zero"] == pytest.approx(1 - model / zero)
    assert figures["r2_against_mean"] == pytest.approx(1 - model / mean)
    assert figures["interval_coverage"] == 0.5


def test_the_coefficient_is_the_mean_of_the_days_with_its_standard_error() -> None:
    generator = np.random.default_rng(2)
    record, daily = Record(), []
    for _ in range(40):
        left, right = generator.normal(size=8), generator.normal(size=8)
        record.score_day(left.tolist(), right.tolist())
        daily.append(scipy.stats.spearmanr(left, right).statistic)
    record.score_day([1.0, 2.0], [1.0, 2.0])  # too few to rank
    record.score_day([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])  # nothing to rank
    figures = record.figures()
    assert figures["information_coefficient_days"] == 40.0
    assert figures["information_coefficient"] == pytest.approx(np.mean(daily), abs=1e-12)
    assert figures["information_coefficient_standard_error"] == pytest.approx(scipy.stats.sem(daily), rel=1e-9)


def test_an_empty_record_claims_nothing() -> None:
    figures = Record().figures()
    claimed = {name for name, value in figures.items() if value is not None}
    assert claimed == {"directional_observations", "information_coefficient_days"}


@given(st.lists(st.floats(-1.0, 1.0, allow_nan=False), max_size=400))
@settings(max_examples=40, deadline=None)
def test_an_error_window_is_the_newest_errors_ranked(errors: list[float]) -> None:
    window = ErrorWindow()
    for error in errors:
        window.add(error)
    newest = [abs(error) for error in errors[-KEPT:]]
    assert window.newest == newest
    assert window.ranked == sorted(newest)
    if len(newest) < NEEDED:
        assert window.half_width() is None
    else:
        rank = math.ceil((len(newest) + 1) * 4 / 5)  # the conformal rank, counted from 1
        assert window.half_width() == sorted(newest)[rank - 1]


def test_an_interval_covers_what_it_says() -> None:
    generator = np.random.default_rng(8)
    window, inside, count = ErrorWindow(), 0, 0
    for error in generator.standard_t(3, 6000).tolist():  # fat tails: a normal interval would be too wide
        width = window.half_width()
        if width is not None:
            inside, count = inside + (abs(error) <= width), count + 1
        window.add(error)
    # Binomial deviation at n = 5980 is 0.0052, the window's own about 0.0016: four of both.
    assert inside / count == pytest.approx(0.8, abs=0.022)
