"""Warm-up, missing values and stability of one series."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.features.batch import calculate
from services.features.definitions import DEFINITIONS, NAMES, FeatureDefinition
from services.features.series import Series
from tests.services.features.prices import walk

CLOSES = walk(120).close.tolist()
RANGE_NAMES = {"atr_14", "williams_r", "stochastic_k", "stochastic_d", "volume_sma", "vwap"}
#: Features of a bounded window: they may know nothing of what left it.
WINDOW_NAMES = (
    "sma_20", "bollinger_upper_20", "bollinger_lower_20", "realized_vol", "momentum_10", "roc_12", "williams_r",
    "stochastic_k", "stochastic_d", "volume_sma", "vwap",
)  # fmt: skip

Row = tuple[float, float, float, float]


def feed(rows: list[Row]) -> tuple[dict[str, float], dict[str, str]]:
    series = Series.fresh("1d")
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    for index, (close, up, down, volume) in enumerate(rows):
        values, missing = series.update(index, close, close + up, close - down, volume)
    return values, missing


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.name)
def test_a_feature_appears_exactly_after_its_warm_up(definition: FeatureDefinition) -> None:
    name, warm_up = definition.name, definition.warm_up
    rows = [(close, 0.01, 0.01, 100.0) for close in CLOSES]
    values, missing = feed(rows[: warm_up - 1])
    assert name not in values
    assert missing[name].startswith("warm-up: ")
    values, missing = feed(rows[:warm_up])
    assert math.isfinite(values[name])
    assert name not in missing


def test_close_only_prices_miss_what_needs_a_range_and_say_so() -> None:
    done = calculate(CLOSES)
    assert set(done.missing) == RANGE_NAMES
    assert done.missing["atr_14"] == "no high and low: the newest price is close-only"
    assert done.missing["vwap"] == "no volume: the newest price has none"
    assert set(done.values) == set(NAMES) - RANGE_NAMES


def test_a_close_between_bars_empties_the_range_windows() -> None:
    series = Series.fresh("1d")
    for index, close in enumerate(CLOSES[:40]):
        values, _ = series.update(index, close, close + 0.1, close - 0.1, 5.0)
    assert "atr_14" in values
    series.update(40, CLOSES[40])
    for count, close in enumerate(CLOSES[41:55], start=1):
        values, missing = series.update(40 + count, close, close + 0.1, close - 0.1, 5.0)
        assert ("atr_14" in values) == (count == 14), missing
        assert ("stochastic_k" in values) == (count == 14), missing


def test_nothing_over_nothing_is_missing_not_zero() -> None:
    done = calculate([5.0] * 40, [5.0] * 40, [5.0] * 40, [0.0] * 40)
    assert done.missing == {
        "rsi_14": "no price change yet: 0 / 0",
        "williams_r": "high equals low over 14 bars: 0 / 0",
        "stochastic_k": "high equals low over 14 bars: 0 / 0",
        "stochastic_d": "needs 3 stochastic_k; 3 of them are 0 / 0",
        "vwap": "no volume in 20 bars: 0 / 0",
    }
    assert done.values["bollinger_upper_20"] == 5.0
    assert done.values["realized_vol"] == 0.0


def test_volatility_is_annualised_for_daily_series_only() -> None:
    done = calculate(CLOSES, interval="1m")
    assert done.missing["realized_vol"] == "annualised by trading days, so daily series only; interval is 1m"
    assert done.values["sma_20"] == calculate(CLOSES).values["sma_20"]


def test_negative_prices_have_averages_but_no_returns() -> None:
    done = calculate([20.0 - index for index in range(40)])  # passes zero, as oil did on 2020-04-20
    assert done.values["sma_20"] == pytest.approx(-9.5)
    assert done.values["momentum_10"] == -10.0
    assert "positive prices" in done.missing["realized_vol"]
    assert done.missing["roc_12"] == "a rate of change needs a positive base; the close 12 before is -7"


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ((math.nan, None, None, None), "close"), ((math.inf, None, None, None), "close"),
        ((1e16, None, None, None), "close"), ((1e-13, None, None, None), "close"),
        ((5.0, 4.0, 3.0, None), "low <= close"), ((5.0, 6.0, 5.5, None), "low <= close"),
        ((5.0, math.nan, 4.0, None), "low <= close"), ((5.0, math.inf, 4.0, None), "low <= close"),
        ((5.0, 6.0, None, None), "together"), ((5.0, 6.0, 4.0, -1.0), "volume"), ((5.0, 6.0, 4.0, math.nan), "volume"),
    ],
)  # fmt: skip
def test_an_impossible_number_is_refused_and_changes_nothing(row: tuple[float, ...], word: str) -> None:
    clean, dirty = Series.fresh("1d"), Series.fresh("1d")
    for index, close in enumerate(CLOSES[:40]):
        clean.update(index, close, close + 0.1, close - 0.1, 5.0)
        dirty.update(index, close, close + 0.1, close - 0.1, 5.0)
    with pytest.raises(ValueError, match=word):
        dirty.update(40, *row)
    assert dirty == clean


def test_a_window_forgets_what_left_it_to_the_last_bit() -> None:
    recent = [(close, 0.01, 0.02, 100.0 + index) for index, close in enumerate(CLOSES[:21])]
    huge = [(3e12 + 0.1 * index, 7e11, 1e12, 1e15) for index in range(30)]
    after_huge, fresh = feed(huge + recent)[0], feed(recent)[0]
    # A running sum would still carry the rounding of 3e12, about 5e-4, into an average of 0.3.
    assert {name: after_huge[name] for name in WINDOW_NAMES} == {name: fresh[name] for name in WINDOW_NAMES}


prices = st.floats(0.01, 1e6, allow_nan=False)
widths = st.floats(0.0, 10.0)
rows = st.lists(st.tuples(prices, widths, widths, st.floats(0.0, 1e9)), min_size=1, max_size=60)


@given(rows)
@settings(max_examples=100, deadline=None)
def test_every_feature_is_given_or_explained_and_within_its_bounds(given_rows: list[Row]) -> None:
    values, missing = feed(given_rows)
    assert sorted([*values, *missing]) == sorted(NAMES)
    assert all(math.isfinite(value) for value in values.values())
    for name in ("rsi_14", "stochastic_k", "stochastic_d"):
        assert -1e-9 <= values.get(name, 50.0) <= 100.0 + 1e-9
    assert -100.0 - 1e-9 <= values.get("williams_r", -50.0) <= 1e-9
    assert values.get("realized_vol", 0.0) >= 0.0
    assert values.get("atr_14", 0.0) >= 0.0
    if "sma_20" in values:
        assert values["bollinger_lower_20"] <= values["sma_20"] <= values["bollinger_upper_20"]
        newest = [row[0] for row in given_rows[-20:]]
        assert min(newest) * (1 - 1e-12) <= values["sma_20"] <= max(newest) * (1 + 1e-12)


def test_series_that_do_not_fit_together_are_refused() -> None:
    for arguments, word in (
        (([],), "at least one"), (([1.0], [2.0], None), "together"), (([1.0], None, None, [1.0, 2.0]), "as long as"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=word):
            calculate(*arguments)  # type: ignore[arg-type]
