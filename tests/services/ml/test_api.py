"""The HTTP surface: untrained, trained, forecasts with their base and interval, and every refusal."""

from __future__ import annotations

from typing import Any, cast

import pytest

from libs.contracts.analysis import ModelTrained, PredictionMade
from libs.contracts.market import InstrumentDefined
from libs.engine.commands import Commands
from libs.testing.engine_harness import EngineHarness
from libs.testing.surface import Surface
from services.ml.api import router
from services.ml.engine import MODEL_ID
from services.ml.inputs import INPUTS
from tests.services.ml.market import DAY_NS, SYMBOLS
from tests.services.ml.test_engine import MARKET, started, step


def surface_of(harness: EngineHarness) -> Surface:
    # The engine takes no commands, so the route builder is given none to send them with.
    return Surface(router(harness.engine, cast(Commands, None)))


@pytest.fixture(scope="module")
def harness() -> EngineHarness:
    harness = started(40)
    harness.send(InstrumentDefined(40 * DAY_NS, "NEW.X", "equity", "USD"))
    return harness


@pytest.fixture(scope="module")
def surface(harness: EngineHarness) -> Surface:
    return surface_of(harness)


def test_untrained_is_said() -> None:
    surface = surface_of(started(3))
    assert surface.call("GET", "/models").body == {"items": [], "count": 0, "next_cursor": None}
    for method, target, body in (
        ("GET", f"/models/{MODEL_ID}", None), ("POST", "/ml/predict/price", {"symbol": SYMBOLS[0]}),
    ):  # fmt: skip
        answer = surface.call(method, target, body)
        assert (answer.status, answer.body["code"]) == (409, "model-not-trained")
        assert (answer.body["have"], answer.body["need"]) == (2, 5)


def test_the_model_shows_its_record_beside_the_naive_ones(harness: EngineHarness, surface: Surface) -> None:
    body = surface.call("GET", f"/models/{MODEL_ID}").body
    trained = harness.of_type(ModelTrained)[-1]
    assert (body["version"], body["rows"], body["data_hash"]) == (trained.version, trained.rows, trained.data_hash)
    assert body["trained_until"] == trained.trained_until
    assert body["state"] == "trained"
    assert body["features"] == list(INPUTS)
    assert list(body["coefficients"]) == list(INPUTS)
    newest = harness.of_type(PredictionMade)[-1]
    assert body["metrics"]["hit_rate"] == newest.hit_rate
    assert body["metrics"]["information_coefficient"] == newest.information_coefficient
    assert body["metrics"]["observations"] == newest.observations
    assert body["metrics"]["reasons"] == {}
    assert body["metrics"]["mean_squared_error_naive_zero"] > 0.0
    assert surface.call("GET", "/models").body["items"] == [body]


def test_before_a_score_the_record_says_why_it_is_empty() -> None:
    metrics = surface_of(started(6)).call("GET", f"/models/{MODEL_ID}").body["metrics"]
    assert metrics["hit_rate"] is None
    assert metrics["reasons"]["hit_rate"] == "no scored predictions to compute it from yet"
    assert metrics["observations"] == 0


def test_a_price_is_the_published_prediction_on_its_base(harness: EngineHarness, surface: Surface) -> None:
    body = surface.call("POST", "/ml/predict/price", {"symbol": SYMBOLS[2]}).body
    published = next(event for event in reversed(harness.of_type(PredictionMade)) if event.symbol == SYMBOLS[2])
    close = float(MARKET.closes[39, 2])
    assert body["expected_return"] == published.value
    assert body["base_price"] == close
    assert body["price"] == close * (1.0 + published.value)
    assert body["version"] == published.version
    assert (body["ts_event"], body["age_seconds"]) == (40 * DAY_NS, 0.0)
    assert body["source"] == "test"
    errors = harness.engine.state.instruments[SYMBOLS[2]].errors.ranked
    width = errors[-(-(len(errors) + 1) * 4 // 5) - 1]
    assert body["interval"]["high"] - body["interval"]["low"] == pytest.approx(2 * width * close, rel=1e-12)
    assert body["interval"]["coverage"] == 0.8
    assert body["reasons"] == {}


def test_another_base_moves_the_price_and_not_the_return(surface: Surface) -> None:
    plain = surface.call("POST", "/ml/predict/price", {"symbol": SYMBOLS[2]}).body
    moved = surface.call("POST", "/ml/predict/price", {"symbol": SYMBOLS[2], "current_price": 10.0}).body
    assert moved["expected_return"] == plain["expected_return"]
    assert moved["price"] == 10.0 * (1.0 + plain["expected_return"])
    assert moved["interval"]["low"] < moved["price"] < moved["interval"]["high"]


def test_without_enough_errors_there_is_no_interval_and_a_reason() -> None:
    body = surface_of(started(12)).call("POST", "/ml/predict/price", {"symbol": SYMBOLS[0]}).body
    assert body["interval"] is None
    assert body["reasons"]["interval"].startswith("an interval needs 20 past errors")


def test_an_instrument_without_a_prediction_says_why() -> None:
    harness = started(10)
    harness.send(MARKET.close(10, 0))
    harness.close_step(11 * DAY_NS)
    answer = surface_of(harness).call("POST", "/ml/predict/price", {"symbol": SYMBOLS[0]})
    assert (answer.status, answer.body["code"]) == (409, "insufficient-history")
    assert answer.body["detail"].endswith("features of the newest close have not arrived")


def test_an_instrument_that_stopped_before_the_first_fit_has_none() -> None:
    harness = started(4)
    for day in range(4, 8):
        step(harness, day, (1, 2, 3))
    answer = surface_of(harness).call("POST", "/ml/predict/price", {"symbol": SYMBOLS[0]})
    assert (answer.status, answer.body["code"]) == (409, "insufficient-history")
    assert "trained after its newest close" in answer.body["detail"]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/models/oracle", None, 404),
        ("POST", "/ml/predict/price", {"symbol": "NONE.X"}, 404),
        ("POST", "/ml/predict/price", {"symbol": "NEW.X"}, 404),
        ("POST", "/ml/predict/price", {}, 422),
        ("POST", "/ml/predict/price", {"symbol": SYMBOLS[0], "time_horizon": "1w"}, 422),
        ("POST", "/ml/predict/price", {"symbol": SYMBOLS[0], "current_price": 0}, 422),
        ("POST", "/ml/predict/price", {"symbol": SYMBOLS[0], "current_price": -1.0}, 422),
        ("POST", "/ml/predict/price", b'{"symbol": "A.X", "current_price": NaN}', 422),
        ("POST", "/ml/predict/price", {"symbol": SYMBOLS[0], "luck": 1}, 422),
        ("POST", "/ml/predict/price", b"{", 400),
    ],
)
def test_a_bad_request_is_a_problem(surface: Surface, method: str, target: str, body: Any, status: int) -> None:
    answer = surface.call(method, target, body)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
