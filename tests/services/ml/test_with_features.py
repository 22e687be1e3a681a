"""The features engine's own vectors feed the model: names fit, close-only prices suffice, no day is skipped."""

from __future__ import annotations

import numpy as np

from libs.contracts.analysis import FeaturesCalculated, PredictionMade
from libs.contracts.market import CloseReceived
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness
from services.features.definitions import DEFINITIONS, NAMES
from services.features.engine import FeaturesEngine
from services.features.settings import FeaturesSettings
from services.ml.inputs import NEEDED
from tests.services.ml.market import DAY_NS, SETTINGS, SYMBOLS, defined, make


def test_every_needed_feature_exists_and_needs_closes_only() -> None:
    assert set(NEEDED) <= set(NAMES)
    assert {one.inputs for one in DEFINITIONS if one.name in NEEDED} == {("close",)}


def test_real_features_of_close_only_prices_are_learned_and_predicted_from() -> None:
    days = 60
    steps = np.random.default_rng(4).normal(0.0003, 0.015, (days, len(SYMBOLS)))
    closes = 40.0 * np.exp(np.cumsum(steps, axis=0))
    features = EngineHarness(lambda clock, outbox: FeaturesEngine(clock, outbox, FeaturesSettings()))
    model = EngineHarness(make)
    model.send(*defined())
    for day in range(days):
        prices: list[Event] = [
            CloseReceived((day + 1) * DAY_NS, symbol, "1d", float(closes[day, name]), "test")
            for name, symbol in enumerate(SYMBOLS)
        ]
        model.send(*prices, *features.send(*prices))
        model.close_step((day + 1) * DAY_NS)
    warm_up = max(one.warm_up for one in DEFINITIONS if one.name in NEEDED)
    first = warm_up - 1 + SETTINGS.minimum_days  # 0-based: the first row needs a full vector and the close after it
    predictions = model.of_type(PredictionMade)
    assert len(features.of_type(FeaturesCalculated)) == days * len(SYMBOLS)
    assert [event.symbol for event in predictions] == list(SYMBOLS) * (days - first)
    assert predictions[0].ts_event == (first + 1) * DAY_NS
    # Errors of a daily return forecast are of the size of the returns themselves, 1.5 %.
    assert all(abs(event.value) < 0.05 for event in predictions)
