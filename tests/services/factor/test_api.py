"""The HTTP surface: the catalogue, results, the panel, and every refusal."""

from __future__ import annotations

from typing import Any, cast

import pytest

from libs.contracts.analysis import FactorsCalculated
from libs.engine.commands import Commands
from libs.testing.engine_harness import EngineHarness
from libs.testing.surface import Surface
from services.factor.api import router
from services.factor.definitions import FACTOR_IDS
from tests.services.factor.market import DAY_NS, SYMBOLS, close, instrument, make
from tests.services.factor.test_engine import DEFINED, PRICES, run

DAYS = 100


@pytest.fixture(scope="module")
def harness() -> EngineHarness:
    harness = EngineHarness(make)
    harness.send(*DEFINED, instrument("LATE.X"), close(0, "LATE.X", 5.0))
    run(harness, range(DAYS))
    harness.send(close(DAYS, SYMBOLS[0], float(PRICES[DAYS, 0])))  # the next day has begun, its step is open
    return harness


@pytest.fixture(scope="module")
def surface(harness: EngineHarness) -> Surface:
    # The engine takes no commands, so the route builder is given none to send them with.
    return Surface(router(harness.engine, cast(Commands, None)))


def test_results_are_the_published_factors(harness: EngineHarness, surface: Surface) -> None:
    answer = surface.call("GET", f"/factors/results/{SYMBOLS[1]}")
    event = [one for one in harness.of_type(FactorsCalculated) if one.symbol == SYMBOLS[1]][-1]
    assert answer.status == 200
    assert answer.body["ts_event"] == DAYS * DAY_NS
    rows = {row["factor_id"]: row for row in answer.body["items"]}
    assert list(rows) == list(FACTOR_IDS)
    assert {name: row["value"] for name, row in rows.items() if row["value"] is not None} == event.values
    assert {name: row["zscore"] for name, row in rows.items() if row["zscore"] is not None} == event.zscores
    assert rows["momentum_12_1"]["reason"] == "warm-up: 100 of 253"
    assert rows["momentum_12_1"]["confidence"] == 100 / 253
    assert rows["reversal_21"]["confidence"] == 1.0
    assert rows["reversal_21"]["reason"] is None
    assert rows["reversal_21"]["data_age_seconds"] == 86_400.0
    assert rows["reversal_21"]["source"] == "test"


def test_results_can_be_narrowed(surface: Surface) -> None:
    answer = surface.call("GET", f"/factors/results/{SYMBOLS[0]}?factor_ids=volatility_63&factor_ids=reversal_21")
    assert [row["factor_id"] for row in answer.body["items"]] == ["volatility_63", "reversal_21"]


def test_the_panel_is_the_newest_cross_section(surface: Surface) -> None:
    answer = surface.call("POST", "/factors/panel", {"factor_ids": ["volatility_63"]})
    assert answer.status == 200
    assert answer.body["universe"] == len(SYMBOLS)
    assert answer.body["counts"] == {"volatility_63": len(SYMBOLS)}
    assert [row["symbol"] for row in answer.body["items"]] == list(SYMBOLS)
    assert sum(row["zscore"] for row in answer.body["items"]) == pytest.approx(0.0, abs=1e-12)
    assert answer.body["reasons"] == {"LATE.X": "no price at the timestamp of this cross-section"}


def test_the_panel_can_be_narrowed_to_symbols(surface: Surface) -> None:
    answer = surface.call("POST", "/factors/panel", {"symbols": [SYMBOLS[2]], "factor_ids": ["reversal_21"]})
    assert [(row["symbol"], row["factor_id"]) for row in answer.body["items"]] == [(SYMBOLS[2], "reversal_21")]


def test_definitions_and_their_category(surface: Surface) -> None:
    everything = surface.call("GET", "/factors/definitions").body
    assert [item["factor_id"] for item in everything["items"]] == list(FACTOR_IDS)
    assert everything["count"] == len(FACTOR_IDS)
    assert all(item["formula"] and item["source"] and item["lookback_period"] > 0 for item in everything["items"])
    assert surface.call("GET", "/factors/categories/Cross_Sectional").body == everything


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("GET", "/factors/categories/lucky", None, 404, "unknown-category"),
        ("GET", "/factors/results/NONE.X", None, 404, "no-factors"),
        ("GET", f"/factors/results/{SYMBOLS[0]}?factor_ids=luck", None, 422, "unknown-factor"),
        ("POST", "/factors/panel", {"factor_ids": ["luck"]}, 422, "unknown-factor"),
        ("POST", "/factors/panel", {"symbols": ["NONE.X"]}, 404, "no-factors"),
        ("POST", "/factors/panel", {"symbols": []}, 422, None),
        ("POST", "/factors/panel", {"start_date": "2020-01-01"}, 422, None),
    ],
)
def test_a_bad_request_is_a_problem(
    surface: Surface, method: str, target: str, body: Any, status: int, code: str | None
) -> None:
    answer = surface.call(method, target, body)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert code is None or answer.body["code"] == code


def test_before_the_first_cross_section_there_is_none() -> None:
    surface = Surface(router(EngineHarness(make).engine, cast(Commands, None)))
    answer = surface.call("POST", "/factors/panel", {})
    assert (answer.status, answer.body["code"]) == (404, "no-panel")
    assert surface.call("GET", "/factors/results/AAPL.XNAS").status == 404
