"""The ml engine through its harness: who is predicted, when nothing is said, bad input, figures."""

from __future__ import annotations

import msgspec
import pytest
import scipy.stats
from prometheus_client import CollectorRegistry, generate_latest

from libs.contracts.analysis import ModelTrained, PredictionMade
from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness
from services.ml.engine import MlEngine
from services.ml.inputs import NEEDED, input_vector
from services.ml.metrics import register_metrics
from services.ml.settings import MlSettings
from tests.services.ml.market import DAY_NS, SETTINGS, SYMBOLS, Market, defined, make

MARKET = Market(60)
FIRST = SETTINGS.minimum_days


def started(days: int, allow_dead: bool = False) -> EngineHarness:
    harness = EngineHarness(make, allow_dead=allow_dead)
    harness.send(*defined())
    for day in range(days):
        step(harness, day)
    return harness


def step(harness: EngineHarness, day: int, names: tuple[int, ...] = (0, 1, 2, 3)) -> list[Event]:
    harness.send(*MARKET.day(day, names))
    return harness.close_step((day + 1) * DAY_NS)


def predicted(events: list[Event]) -> list[str]:
    return [event.symbol for event in events if isinstance(event, PredictionMade)]


def test_nothing_is_published_before_there_is_enough_to_learn_from() -> None:
    harness = started(FIRST)
    assert harness.published == []
    events = step(harness, FIRST)
    assert [type(event) for event in events] == [ModelTrained] + [PredictionMade] * len(SYMBOLS)


def test_everything_is_published_at_the_mark() -> None:
    harness = started(10)
    assert harness.send(*MARKET.day(10)) == []
    assert predicted(harness.close_step(11 * DAY_NS, stages=("mark",))) == list(SYMBOLS)
    assert harness.close_step(11 * DAY_NS, stages=("assess", "decide")) == []


def test_indices_and_undefined_instruments_are_neither_learned_nor_predicted() -> None:
    harness, plain = EngineHarness(make), EngineHarness(make)
    harness.send(InstrumentDefined(0, "SPX.INDEX", "index", "USD", is_tradable=False))
    for one in (harness, plain):
        one.send(*defined(3))
    for day in range(12):
        vector = MARKET.vector(day, 3)
        for symbol in ("SPX.INDEX", "UNDEFINED.X"):
            price = CloseReceived(vector.ts_event, symbol, "1d", 100.0 + day, "test")
            harness.send(price, msgspec.structs.replace(vector, symbol=symbol))
        assert step(harness, day, (0, 1, 2)) == step(plain, day, (0, 1, 2))
    assert len(plain.of_type(PredictionMade)) == 3 * (12 - FIRST)


def test_an_instrument_without_todays_features_gets_no_prediction_and_no_row() -> None:
    harness = started(10)
    rows = harness.engine.state.moments.count
    harness.send(*MARKET.day(10, (1, 2, 3)), MARKET.close(10, 0))
    assert predicted(harness.close_step(11 * DAY_NS)) == list(SYMBOLS[1:])
    assert harness.engine.state.moments.count == rows + 4
    assert (
        harness.engine.state.instruments[SYMBOLS[0]].pending.reason == "features of the newest close have not arrived"
    )
    assert predicted(step(harness, 11)) == list(SYMBOLS)
    assert harness.engine.state.moments.count == rows + 4 + 3


def test_late_features_are_not_taken_for_todays() -> None:
    harness = started(10)
    harness.send(MARKET.close(10, 0))
    harness.close_step(11 * DAY_NS)
    harness.send(MARKET.vector(10, 0), MARKET.close(11, 0))
    assert predicted(harness.close_step(12 * DAY_NS)) == []


def test_a_suspended_instrument_is_scored_at_its_next_close_and_ranked_with_nobody() -> None:
    harness = started(10)
    days = harness.engine.state.record.correlation_days
    step(harness, 10, (1, 2, 3))
    assert harness.engine.state.record.correlation_days == days + 1
    observations = harness.engine.state.record.observations
    step(harness, 11, (0,))
    record = harness.engine.state.record
    assert record.observations == observations + 1
    assert record.correlation_days == days + 1


def test_a_rank_correlation_compares_predictions_of_one_timestamp_only() -> None:
    harness = started(10)
    step(harness, 10, (1, 2, 3))
    made = [event.value for event in harness.published[-3:]]
    before = harness.engine.state.record.correlation_sum
    step(harness, 11)  # the first instrument is back: its prediction is two days old
    outcome = MARKET.closes[11, 1:] / MARKET.closes[10, 1:] - 1
    expected = scipy.stats.spearmanr(made, outcome).statistic
    assert harness.engine.state.record.correlation_sum - before == pytest.approx(expected, abs=1e-12)


def test_an_instrument_that_left_is_not_scored_over_the_gap() -> None:
    harness = started(10)
    harness.send(InstrumentDefined(10 * DAY_NS, SYMBOLS[0], "equity", "USD", is_tradable=False))
    step(harness, 10)
    harness.send(InstrumentDefined(11 * DAY_NS, SYMBOLS[0], "equity", "USD"))
    observations, rows = harness.engine.state.record.observations, harness.engine.state.moments.count
    assert predicted(step(harness, 11)) == list(SYMBOLS)
    assert harness.engine.state.record.observations == observations + 3
    assert harness.engine.state.moments.count == rows + 3


def test_bars_serve_as_well_as_closes() -> None:
    harness, plain = EngineHarness(make), started(10)
    harness.send(*defined())
    for day in range(10):
        for name in range(4):
            price = MARKET.close(day, name)
            close = price.close
            harness.send(
                BarClosed(price.ts_event, price.symbol, "1d", close, close, close, close, 1.0, "test"),
                MARKET.vector(day, name),
            )
        harness.close_step((day + 1) * DAY_NS)
    assert harness.published == plain.published


def test_other_intervals_and_repeats_change_nothing() -> None:
    harness, plain = started(10), started(10)
    harness.send(
        CloseReceived(10 * DAY_NS, SYMBOLS[0], "1d", 1.0, "other"),
        CloseReceived(11 * DAY_NS, SYMBOLS[0], "1m", 1.0, "test"),
        msgspec.structs.replace(MARKET.vector(10, 0), interval="1m", values={}),
    )
    assert harness.engine.status()["prices_ignored"] == 1
    assert step(harness, 10) == step(plain, 10)


def test_a_bad_close_is_a_dead_letter_and_changes_nothing() -> None:
    harness, plain = started(10, allow_dead=True), started(10)
    for price in (float("nan"), float("inf"), 1e300, 1e-300):
        harness.send(CloseReceived(11 * DAY_NS, SYMBOLS[0], "1d", price, "test"))
    assert len(harness.dead) == 4
    assert all("close must be finite" in text for text in harness.dead)
    assert step(harness, 10) == step(plain, 10)


def test_no_return_leads_over_a_price_that_is_not_positive() -> None:
    harness = started(10)
    observations = harness.engine.state.record.observations
    harness.send(*MARKET.day(10, (1, 2, 3)), CloseReceived(11 * DAY_NS, SYMBOLS[0], "1d", -37.63, "test"))
    harness.send(MARKET.vector(10, 0))
    assert predicted(harness.close_step(11 * DAY_NS)) == list(SYMBOLS[1:])
    assert harness.engine.state.record.observations == observations + 3
    assert "positive prices" in harness.engine.state.instruments[SYMBOLS[0]].pending.reason
    assert predicted(step(harness, 11)) == list(SYMBOLS)


def test_one_synthetic_row_marks_every_later_prediction() -> None:
    harness = EngineHarness(make)
    harness.send(*defined())
    for day in range(14):
        harness.send(*[MARKET.vector(day, name) for name in range(4)])
        harness.send(*[MARKET.close(day, name, synthetic=(day, name) == (9, 2)) for name in range(4)])
        harness.close_step((day + 1) * DAY_NS)
    marked = [
        (event.ts_event // DAY_NS - 1, event.symbol) for event in harness.of_type(PredictionMade) if event.is_synthetic
    ]
    trained = [event.ts_event // DAY_NS - 1 for event in harness.of_type(ModelTrained)]
    assert trained == [5, 8, 11]
    # Day 9: the inputs of one prediction are synthetic. Day 10: none is. Day 11: the fit has learned those of day 9.
    assert marked == [(9, SYMBOLS[2])] + [(day, symbol) for day in range(11, 14) for symbol in SYMBOLS]


def test_another_seed_changes_its_label_and_nothing_else() -> None:
    other = MlSettings(minimum_days=5, refit_days=3, seed=7)
    harness = EngineHarness(lambda clock, outbox: MlEngine(clock, outbox, other))
    harness.send(*defined())
    for day in range(8):
        step(harness, day)
    expected = started(8).of_type(PredictionMade)
    found = harness.of_type(PredictionMade)
    assert {event.seed for event in found} == {7}
    assert [event.value for event in found] == [event.value for event in expected]


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_feature_is_named(name: str) -> None:
    values = {key: value for key, value in MARKET.vector(0, 0).values.items() if key != name}
    with pytest.raises(ValueError, match=f"feature {name} is missing"):
        input_vector(values, 40.0)


def test_inputs_are_refused_where_a_ratio_means_nothing() -> None:
    values = MARKET.vector(0, 0).values
    for changed, word in (
        ({"sma_20": -1.0}, "positive"), ({"momentum_10": 50.0}, "positive"),
        ({"bollinger_upper_20": 30.0, "bollinger_lower_20": 30.0}, "has not moved"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=word):
            input_vector(values | changed, 40.0)


def test_metrics_and_status_are_the_state() -> None:
    harness = started(3)
    registry = CollectorRegistry()
    register_metrics(harness.engine, registry)
    text = generate_latest(registry).decode()
    assert "nautilus_ml_model_version 0.0" in text
    assert "nautilus_ml_hit_rate" not in text
    for day in range(3, 12):
        step(harness, day)
    text = generate_latest(registry).decode()
    record = harness.engine.state.record
    assert f"nautilus_ml_hit_rate {record.hit_rate}" in text
    assert "nautilus_ml_model_version 3.0" in text
    assert "nautilus_ml_predictions_total 28.0" in text
    assert "nautilus_ml_predictions_scored_total 24.0" in text
    assert "nautilus_ml_training_rows 44.0" in text
    assert harness.engine.status() == {
        "predictions_made": 28, "predictions_scored": 24, "models_loaded": 1, "model_version": 3, "training_rows": 44,
        "training_days": 11, "prices_ignored": 0, "device": "cpu",
    }  # fmt: skip


def test_settings_have_the_fleets_port_and_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (MlSettings().port, MlSettings().seed, MlSettings().minimum_days) == (8400, 42, 252)
    monkeypatch.setenv("NAUTILUS_SEED", "9")
    assert MlSettings().seed == 9
