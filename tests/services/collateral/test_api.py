"""The HTTP surface: what-if and monitored portfolios, refusals, gaps named."""

from __future__ import annotations

import math
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from libs.engine.metrics import counters
from libs.testing.engine_harness import EngineHarness
from libs.testing.surface import Surface
from services.collateral.api import router
from services.collateral.metrics import register_metrics
from services.collateral.scenarios import SCENARIOS
from tests.services.collateral.builders import (
    DAY,
    START,
    harness,
    instrument,
    portfolio_body,
    position_body,
    snapshot,
    step,
)

CALCULATE = "/api/v1/collateral/margin/calculate"
STRESS = "/api/v1/collateral/stress-test"


@pytest.fixture
def fleet() -> EngineHarness:
    one = harness()
    one.send(instrument("A"), instrument("B", "bond"))
    one.send(snapshot(START, "100000", {"A": "100000", "B": "1000"}, unrealized="250"), step(START))
    return one


def surface(one: EngineHarness) -> Surface:
    return Surface(router(one.engine, None))  # type: ignore[arg-type]


def test_margin_of_a_portfolio_that_might_be() -> None:
    equities = [
        position_body(name, "EQUITY", worth, sector=sector)
        for name, worth, sector in (("a", "100000", "tech"), ("b", "-50000", "bank"), ("c", "20000", "oil"))
    ]
    body = portfolio_body("30000", *equities, position_body("d", "bond", "100000", duration="7", unrealized_pnl="-400"))
    posted = [{"kind": "government_bonds", "market_value": 10000}, {"kind": "cash_eur", "market_value": "1000"}]
    answer = surface(harness()).call("POST", CALCULATE, {"portfolio": body, "collateral": posted}).body
    # 25,000 + 17,500 * .75 = 38,125; bonds 12,000, of which 1,200 saved. Collateral 30,000 + 9,600 + 980 - 400.
    assert answer["total_margin"] == answer["net_initial_margin"] == "48925"
    assert (answer["gross_initial_margin"], answer["cross_margin_offset"]) == ("54500", "5575")
    assert (answer["eligible_collateral"], answer["variation_margin"]) == ("40180", "-400")
    assert answer["margin_excess"] == "-8745"
    assert answer["margin_utilization"] == pytest.approx(48925 / 40180, rel=1e-12)
    assert answer["margin_utilization_percent"] == pytest.approx(4892500 / 40180, rel=1e-12)
    assert (answer["state"], answer["required_action_amount"]) == ("emergency", "20976.25")
    assert answer["optimization"] == {"enabled": True, "plain_margin": "49800", "saved": "875"}
    assert [one["initial_margin"] for one in answer["position_margins"]] == [
        "25000",
        "12500",
        "5000",
        "12000",
    ]
    assert answer["time_to_margin_call_minutes"] is None
    assert "time_to_margin_call_minutes" in answer["reasons"]
    assert (answer["source"], answer["stress_test"]) == ("request", None)


def test_a_calculation_for_a_monitored_portfolio_is_the_published_one(fleet: EngineHarness) -> None:
    one = surface(fleet)
    answer = one.call("POST", CALCULATE, {"portfolio_id": "main"}).body
    watched = one.call("GET", "/api/v1/collateral/monitoring/status/main").body
    for name in ("total_margin", "maintenance_margin", "cross_margin_offset", "eligible_collateral", "margin_excess",
                 "margin_utilization", "state", "as_of", "is_synthetic"):  # fmt: skip
        assert answer[name] == watched[name], name
    assert answer["variation_margin"] == "500"
    assert [one["reason"] for one in answer["position_margins"]] == [None, "a bond's rate needs its duration"]


def test_monitoring_shows_ages_errors_and_alerts(fleet: EngineHarness) -> None:
    fleet.send(snapshot(START + DAY, "20000", {"A": "100000", "B": "1000"}), step(START + DAY))
    fleet.send(step(START + DAY + 9_000_000_000))
    body = surface(fleet).call("GET", "/api/v1/collateral/monitoring/status/main").body
    assert body["last_calculation_age_seconds"] == 9.0
    assert body["errors"] == [{"symbol": "B", "reason": "a bond's rate needs its duration", "charged": "in full"}]
    assert (body["state"], body["calculations"], body["alerts_raised"]) == ("emergency", 2, {"emergency": 1})
    assert body["last_alert"]["action"] == "liquidate_positions"
    assert body["thresholds"] == {"warning": 0.8, "critical": 0.9, "emergency": 0.95}


def test_every_monitored_portfolio_is_listed(fleet: EngineHarness) -> None:
    body = surface(fleet).call("GET", "/api/v1/collateral/status").body
    assert [one["portfolio_id"] for one in body["portfolios"]] == ["main"]
    assert body["counters"]["calculations"] == 1


def test_nothing_to_meet_a_margin_is_null_with_the_reason() -> None:
    body = portfolio_body("0", position_body("a", "equity", "100"))
    answer = surface(harness()).call("POST", CALCULATE, {"portfolio": body}).body
    assert (answer["margin_utilization"], answer["state"]) == (None, "emergency")
    assert answer["reasons"]["margin_utilization"] == "nothing stands against the margin"
    assert answer["reasons"]["variation_margin"] == "no position states its unrealized_pnl"


@pytest.mark.parametrize("count", [0, 1, 2, 500])
@pytest.mark.parametrize("name", ["equity", "bond", "fx", "commodity", "derivative", "crypto"])
def test_any_number_of_positions_of_one_class(name: str, count: int) -> None:
    positions = [position_body(f"p{number}", name, "1000", duration="3") for number in range(count)]
    answer = surface(harness()).call("POST", CALCULATE, {"portfolio": portfolio_body("1e6", *positions)})
    assert answer.status == 200
    assert len(answer.body["position_margins"]) == count


def test_a_derivative_with_all_greeks_is_revalued() -> None:
    greeks = {"delta": "1", "gamma": "0", "vega": "0", "theta": "-1", "implied_volatility": "0.2"}
    with_price = position_body("o", "derivative", "5", underlying_price="100", multiplier="10", **greeks)
    without = position_body("p", "derivative", "5", **greeks)
    answer = surface(harness()).call("POST", CALCULATE, {"portfolio": portfolio_body("1e6", with_price, without)}).body
    found = [(one["method"], float(one["initial_margin"])) for one in answer["position_margins"]]
    assert found == [("greeks", 150.0), ("rate", 0.75)]


def test_stress_test_of_a_monitored_portfolio() -> None:
    one = harness()
    one.send(instrument("A"), snapshot(START, "100000", {"A": "100000"}), step(START))
    answer = surface(one).call("POST", STRESS, {"portfolio_id": "main"}).body
    assert [result["scenario"] for result in answer["scenarios"]] == list(SCENARIOS)
    assert answer["overall"] == "pass"
    first = answer["scenarios"][0]
    assert (first["pnl"], first["margin"], first["margin_excess"]) == ("-30000", "17500", "52500")
    assert first["margin_increase"] == pytest.approx(-0.3)


def test_what_was_not_evaluated_is_no_pass(fleet: EngineHarness) -> None:
    one = surface(fleet)
    empty = one.call("POST", STRESS, {"portfolio": portfolio_body("1000")}).body
    assert (empty["overall"], empty["scenarios"][0]["reason"]) == ("not_evaluated", "there is no position to stress")
    bond = one.call("POST", STRESS, {"portfolio_id": "main", "scenarios": ["RATE_SHOCK", "rate_shock"]}).body
    assert (bond["overall"], len(bond["scenarios"])) == ("not_evaluated", 1)
    nested = one.call("POST", CALCULATE, {"portfolio_id": "main", "include_stress_test": True}).body
    assert nested["stress_test"]["overall"] == "not_evaluated"


A = position_body("a", "equity", "100")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CALCULATE, {}, 422),
        (CALCULATE, {"portfolio_id": "main", "portfolio": portfolio_body("1", A)}, 422),
        (CALCULATE, {"portfolio_id": "nobody"}, 404),
        (STRESS, {"portfolio_id": "nobody"}, 404),
        (STRESS, {"portfolio_id": "main", "scenarios": []}, 422),
        (STRESS, {"portfolio_id": "main", "scenarios": ["alien_invasion"]}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", A, A)}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", {**A, "quantity": "-1"})}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", {**A, "quantity": "0"})}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", A, currency="XXX")}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", {**A, "currency": "EUR"})}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", {**A, "asset_class": "art"})}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", {**A, "duration": "-1"})}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", {**A, "market_value": "1e30"})}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", {**A, "market_value": "NaN"})}, 422),
        (CALCULATE, {"portfolio": portfolio_body("1", {**A, "colour": "red"})}, 422),
        (CALCULATE, {"portfolio_id": "main", "collateral": [{"kind": "art", "market_value": 1}]}, 422),
        (CALCULATE, {"portfolio_id": "main", "collateral": [{"kind": "cash_usd", "market_value": -1}]}, 422),
    ],
)
def test_bad_requests_are_refused(fleet: EngineHarness, path: str, body: dict[str, Any], status: int) -> None:
    assert surface(fleet).call("POST", path, body).status == status


def test_status_of_an_unknown_or_uncalculated_portfolio() -> None:
    one = harness()
    path = "/api/v1/collateral/monitoring/status/main"
    assert surface(one).call("GET", path).status == 404
    one.send(snapshot(START, "1", {}))
    answer = surface(one).call("GET", path)
    assert (answer.status, answer.body["code"]) == (409, "insufficient-history")


def test_metrics_show_the_state(fleet: EngineHarness) -> None:
    registry = CollectorRegistry()
    register_metrics(fleet.engine, registry)
    found = counters(registry)
    assert found["nautilus_margin_utilization{portfolio_id=main}"] == pytest.approx(0.26)
    assert found["nautilus_margin_unrated_positions{portfolio_id=main}"] == 1.0
    fleet.send(snapshot(START + DAY, "0", {"A": "100000"}), step(START + DAY))
    found = counters(registry)
    assert found["nautilus_margin_utilization{portfolio_id=main}"] == math.inf
    assert found["nautilus_margin_alerts_total{portfolio_id=main,severity=emergency}"] == 1.0
