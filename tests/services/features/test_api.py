"""The HTTP surface: the stored vectors, given series, and every refusal."""

from __future__ import annotations

from typing import Any, cast

import pytest

from libs.engine.commands import Commands
from libs.testing.engine_harness import EngineHarness
from libs.testing.surface import Surface
from services.features.api import router
from services.features.definitions import NAMES
from tests.services.features.prices import DAY_NS
from tests.services.features.test_engine import BARS, bar, close, make

SERIES = {"prices": BARS.close.tolist(), "high": BARS.high.tolist(), "low": BARS.low.tolist()}


@pytest.fixture
def harness() -> EngineHarness:
    harness = EngineHarness(make)
    for day in range(40):
        harness.send(bar(day), close(day))
    return harness


@pytest.fixture
def surface(harness: EngineHarness) -> Surface:
    # The engine takes no commands, so the route builder is given none to send them with.
    return Surface(router(harness.engine, cast(Commands, None)))


def test_latest_is_the_published_vector(harness: EngineHarness, surface: Surface) -> None:
    answer = surface.call("GET", "/features/latest/SPX.INDEX")
    vector = harness.published[-1]
    assert answer.status == 200
    assert answer.body["features"] == {**vector.values, **dict.fromkeys(vector.missing)}
    assert sorted(answer.body["features"]) == sorted(NAMES)
    assert answer.body["reasons"] == vector.missing
    assert answer.body["features"]["atr_14"] is None
    assert (answer.body["window_start"], answer.body["window_end"]) == (20 * DAY_NS, 40 * DAY_NS)
    assert answer.body["as_of"] == "1970-02-10T00:00:00Z"
    assert answer.body["age_seconds"] == 0.0
    assert answer.body["source"] == "test"
    assert answer.body["is_synthetic"] is False


def test_age_is_told_by_the_engines_clock(harness: EngineHarness, surface: Surface) -> None:
    harness.send(bar(41))
    assert surface.call("GET", "/features/latest/SPX.INDEX").body["age_seconds"] == 2 * 86_400.0


def test_a_given_series_equals_the_stream(surface: Surface) -> None:
    body = {name: values[:40] for name, values in SERIES.items()} | {"volumes": BARS.volume.tolist()[:40]}
    given = surface.call("POST", "/features/calculate/ANY.XNAS", body)
    stored = surface.call("POST", "/features/calculate/AAPL.XNAS", {})
    assert given.status == stored.status == 200
    assert given.body["features"] == stored.body["features"]
    assert given.body["observations"] == 40
    assert given.body["source"] == "request"
    assert given.body["window_end"] is None


def test_batch_answers_a_result_or_a_problem_per_symbol(surface: Surface) -> None:
    answer = surface.call(
        "POST", "/features/batch",
        {
            "symbols": ["AAPL.XNAS", "NONE.XNAS", "A.X", "B.X", "AAPL.XNAS"],
            "market_data": {"A.X": {"prices": [1.0, 2.0]}, "B.X": {"prices": [1.0, 2.0], "volumes": [1.0]}},
        },
    )  # fmt: skip
    assert answer.status == 200
    assert sorted(answer.body["results"]) == ["A.X", "AAPL.XNAS"]
    assert answer.body["count"] == 2
    assert {symbol: problem["status"] for symbol, problem in answer.body["problems"].items()} == {
        "NONE.XNAS": 404, "B.X": 422,
    }  # fmt: skip
    assert "volumes must be as long as prices (2), was 1" in answer.body["problems"]["B.X"]["detail"]


def test_available_lists_every_feature_once(surface: Surface) -> None:
    body = surface.call("GET", "/features/available").body
    assert [item["name"] for item in body["items"]] == list(NAMES)
    assert body["count"] == len(set(NAMES))
    assert all(item["formula"] and item["source"] and item["inputs"] for item in body["items"])


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/features/latest/NONE.XNAS", None, 404),
        ("GET", "/features/latest/AAPL.XNAS?interval=1h", None, 404),
        ("POST", "/features/calculate/NONE.XNAS", {}, 404),
        ("POST", "/features/calculate/A.X", {"prices": []}, 422),
        ("POST", "/features/calculate/A.X", {"prices": ["high"]}, 422),
        ("POST", "/features/calculate/A.X", b'{"prices": [NaN]}', 422),
        ("POST", "/features/calculate/A.X", b'{"prices": [1e999]}', 422),
        ("POST", "/features/calculate/A.X", {"prices": [1.0, 1e300]}, 422),
        ("POST", "/features/calculate/A.X", {"prices": [1.0], "high": [2.0]}, 422),
        ("POST", "/features/calculate/A.X", {"prices": [3.0], "high": [2.0], "low": [1.0]}, 422),
        ("POST", "/features/calculate/A.X", {"volumes": [3.0]}, 422),
        ("POST", "/features/calculate/A.X", {"price": [3.0]}, 422),
        ("POST", "/features/batch", {"symbols": []}, 422),
        ("POST", "/features/batch", {"symbols": ["A.X"], "market_data": {"B.X": {"prices": [1.0]}}}, 422),
        ("POST", "/features/batch", b"{", 400),
    ],
)  # fmt: skip
def test_a_bad_request_is_a_problem(surface: Surface, method: str, target: str, body: Any, status: int) -> None:
    answer = surface.call(method, target, body)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["status"] == status
    assert answer.body["detail"]


def test_a_request_of_too_many_rows_is_refused(surface: Surface) -> None:
    data = {name: {"prices": [1.0] * 60_000} for name in ("A.X", "B.X")}
    answer = surface.call("POST", "/features/batch", {"symbols": ["A.X", "B.X"], "market_data": data})
    assert (answer.status, answer.body["code"]) == (422, "too-many-rows")
    assert "was 120000" in answer.body["detail"]
