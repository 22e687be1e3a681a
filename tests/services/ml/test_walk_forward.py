"""The whole walk, day by day, against the same walk written with numpy over the whole matrices.

The oracle refits from scratch with ``numpy.linalg.solve`` on rows it collects itself, and ranks with scipy; it shares
nothing with the engine but the definition. Tolerance 1e-9: nine standardised inputs, condition below 1e3.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
import scipy.stats

from libs.contracts.analysis import ModelTrained, PredictionMade
from libs.contracts.market import StepClosed
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness, check_snapshot_is_complete
from tests.services.ml.market import DAY_NS, SETTINGS, SYMBOLS, Market, defined, make

DAYS = 40
MARKET = Market(DAYS)


def run(market: Market, days: int = DAYS, seed: int | None = None) -> EngineHarness:
    harness = EngineHarness(make)
    for day in range(days):
        events = [*(defined() if day == 0 else []), *market.day(day)]
        if seed is not None:
            random.Random(seed + day).shuffle(events)
        harness.send(*events)
        harness.close_step((day + 1) * DAY_NS)
    return harness


def by_day(harness: EngineHarness) -> dict[int, list[PredictionMade]]:
    days: dict[int, list[PredictionMade]] = {}
    for event in harness.of_type(PredictionMade):
        days.setdefault(event.ts_event // DAY_NS - 1, []).append(event)
    return days


def oracle(market: Market) -> list[tuple[int, np.ndarray, int]]:
    """(day, predictions, version) of every day with a model."""
    names = len(SYMBOLS)
    model, version, fitted_at, walk = None, 0, 0, []
    for day in range(DAYS):
        rows = [(past, name) for past in range(day) for name in range(names)]
        if day >= SETTINGS.minimum_days and (model is None or day - fitted_at >= SETTINGS.refit_days):
            inputs = np.array([market.inputs(past, name) for past, name in rows])
            target = np.array([market.closes[past + 1, name] / market.closes[past, name] - 1 for past, name in rows])
            mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
            standardised = (inputs - mean) / scale
            system = standardised.T @ standardised + SETTINGS.penalty * len(rows) * np.eye(inputs.shape[1])
            weights = np.linalg.solve(system, standardised.T @ (target - target.mean()))
            model, version, fitted_at = (mean, scale, weights, target.mean()), version + 1, day
        if model is not None:
            mean, scale, weights, intercept = model
            now = np.array([market.inputs(day, name) for name in range(names)])
            walk.append((day, intercept + (now - mean) / scale @ weights, version))
    return walk


def test_predictions_and_their_record_are_the_oracles() -> None:
    harness = run(MARKET)
    published, walk = by_day(harness), oracle(MARKET)
    errors: list[np.ndarray] = []
    assert sorted(published) == [day for day, _, _ in walk] == list(range(SETTINGS.minimum_days, DAYS))
    hits, scored, coefficients = 0, 0, []
    previous: np.ndarray | None = None
    for day, expected, version in walk:
        events = published[day]
        assert [event.symbol for event in events] == list(SYMBOLS)
        np.testing.assert_allclose([event.value for event in events], expected, rtol=1e-9, atol=1e-13)
        assert {event.version for event in events} == {version}
        if previous is not None:
            outcome = MARKET.closes[day] / MARKET.closes[day - 1] - 1
            hits, scored = hits + int(np.sum((outcome > 0) == (previous > 0))), scored + len(outcome)
            coefficients.append(scipy.stats.spearmanr(previous, outcome).statistic)
            errors.append(np.abs(outcome - previous))
        assert {event.observations for event in events} == {scored}
        if scored:
            assert events[0].hit_rate == pytest.approx(hits / scored, abs=1e-15)
            assert events[0].information_coefficient == pytest.approx(np.mean(coefficients), abs=1e-12)
        else:
            assert events[0].hit_rate is None
            assert events[0].information_coefficient is None
        previous = expected
    for name, symbol in enumerate(SYMBOLS):
        kept = harness.engine.state.instruments[symbol].errors.newest
        np.testing.assert_allclose(kept, [error[name] for error in errors], rtol=1e-9, atol=1e-13)


def test_training_events_come_when_due_with_what_they_were_trained_on() -> None:
    trained = run(MARKET).of_type(ModelTrained)
    days = [event.ts_event // DAY_NS - 1 for event in trained]
    assert days == list(range(SETTINGS.minimum_days, DAYS, SETTINGS.refit_days))
    assert [event.version for event in trained] == list(range(1, len(days) + 1))
    assert [event.rows for event in trained] == [day * len(SYMBOLS) for day in days]
    assert all(event.trained_until == event.ts_event for event in trained)
    assert len({event.data_hash for event in trained}) == len(days)
    assert {event.seed for event in trained} == {42}
    last = trained[-1].metrics
    assert last["in_sample_mean_squared_error"] <= last["in_sample_mean_squared_error_naive_mean"]
    assert last["in_sample_mean_squared_error_naive_mean"] <= last["in_sample_mean_squared_error_naive_zero"]
    assert 0.0 <= last["out_of_sample_hit_rate"] <= 1.0
    assert "out_of_sample_hit_rate" not in trained[0].metrics


def test_the_data_hash_tells_the_smallest_difference_however_long_ago() -> None:
    changed = Market(DAYS)
    changed.features["rsi_14"][0, 0] = np.nextafter(changed.features["rsi_14"][0, 0], 100.0)
    plain, again, other = (run(market).of_type(ModelTrained) for market in (MARKET, Market(DAYS), changed))
    assert [event.data_hash for event in plain] == [event.data_hash for event in again]
    assert all(one.data_hash != two.data_hash for one, two in zip(plain, other, strict=True))


def test_the_future_changes_no_past_prediction() -> None:
    changed = Market(DAYS)
    split = 25
    other = Market(DAYS, seed=99)
    changed.closes[split:] = other.closes[split:]
    for name, column in other.features.items():
        changed.features[name][split:] = column[split:]
    first, second = by_day(run(MARKET)), by_day(run(changed))
    assert all(first[day] == second[day] for day in range(SETTINGS.minimum_days, split))
    # The comparison can fail: from the split on everything differs.
    assert all(first[day][0].value != second[day][0].value for day in range(split, DAYS))


def test_arrival_order_changes_no_bit() -> None:
    plain = run(MARKET, 20)
    assert len(plain.published) > 15 * len(SYMBOLS)
    for seed in range(5):
        assert run(MARKET, 20, seed=seed * 1000).published == plain.published


def test_all_features_first_or_all_prices_first_is_the_same() -> None:
    plain = run(MARKET, 15)
    harness = EngineHarness(make)
    for day in range(15):
        events = MARKET.day(day)
        harness.send(*events[1::2], *events[::2], *(reversed(defined()) if day == 0 else []))
        harness.close_step((day + 1) * DAY_NS)
    assert harness.published == plain.published


@pytest.mark.parametrize("split", [3, 5, 6, 17])
def test_a_restart_changes_no_bit(split: int) -> None:
    def stretch(days: range) -> list[Event]:
        return [event for day in days for event in (*MARKET.day(day), StepClosed((day + 1) * DAY_NS, "mark", day + 1))]

    check_snapshot_is_complete(make, [*defined(), *stretch(range(split))], stretch(range(split, 30)))


def test_a_restart_between_the_data_and_its_mark_changes_no_bit() -> None:
    mark = StepClosed(13 * DAY_NS, "mark", 13)
    before: list[Event] = [*defined()]
    for day in range(12):
        before += [*MARKET.day(day), StepClosed((day + 1) * DAY_NS, "mark", day + 1)]
    check_snapshot_is_complete(make, [*before, *MARKET.day(12)], [mark])


def test_it_finds_a_signal_that_is_there_and_none_where_there_is_none() -> None:
    days = 300
    linked = run(Market(days, link=0.8), days).of_type(PredictionMade)[-1]
    unlinked = run(Market(days, link=0.0), days).of_type(PredictionMade)[-1]
    assert linked.information_coefficient is not None
    assert unlinked.information_coefficient is not None
    # 294 days of 4 names: the mean of random rank correlations has a deviation of 1 / sqrt(3 * 294) = 0.034.
    assert linked.information_coefficient > 8 * 0.034
    assert abs(unlinked.information_coefficient) < 4 * 0.034
