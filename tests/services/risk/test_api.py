"""The HTTP surface: what it shows is the state, what it writes goes through commands, what it refuses says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from libs.testing.engine_harness import EngineHarness
from libs.testing.harness_commands import HarnessCommands
from libs.testing.surface import Surface
from services.risk.api import router
from services.risk.metrics import register_metrics
from tests.services.risk.builders import limit, make, paths, play, snapshot, step

SYMBOLS = ["AAA.X", "BBB.X"]
HOLDINGS = {"AAA.X": 800_000.0, "BBB.X": -500_000.0}
LAST = 300
LEVERAGE = {"limit_id": "x", "limit_type": "leverage", "limit_value": 1}


@pytest.fixture
def engine() -> EngineHarness:
    engine = EngineHarness(make)
    play(engine, SYMBOLS, paths(2, LAST))
    engine.send(limit("leverage", 1.2, "block", limit_id="lev"), snapshot(LAST, HOLDINGS, peak=1_280_000.0))
    engine.send(*step(LAST))
    return engine


@pytest.fixture
def surface(engine: EngineHarness) -> Surface:
    return Surface(router(engine.engine, HarnessCommands(engine)))


def test_exposure(surface: Surface) -> None:
    body = surface.call("GET", "/risk/exposure/main").body
    assert (body["gross"], body["net"], body["long"], body["short"]) == (1_300_000.0, 300_000.0, 800_000.0, 500_000.0)
    assert (body["leverage"], body["drawdown"]) == (1.3, pytest.approx(0.28 / 1.28))
    assert body["positions"] == [
        {"symbol": "AAA.X", "market_value": 800_000.0}, {"symbol": "BBB.X", "market_value": -500_000.0},
    ]  # fmt: skip
    assert (body["reasons"], body["is_stale"], body["age_seconds"]) == ({}, False, 0.0)


def test_exposure_ratios_without_a_denominator_are_null_with_a_reason(engine: EngineHarness, surface: Surface) -> None:
    engine.send(snapshot(LAST + 1, {}, 0.0, portfolio_id="poor", net_flows=0.0), *step(LAST + 1))
    body = surface.call("GET", "/risk/exposure/poor").body
    assert body["leverage"] is body["concentration"] is body["drawdown"] is None
    assert sorted(body["reasons"]) == ["concentration", "drawdown", "leverage"]
    assert surface.call("GET", "/risk/exposure/main").body["is_stale"] is True


@pytest.mark.parametrize("method", ["historical", "parametric"])
def test_var_is_what_was_published_and_its_components_sum(engine: EngineHarness, surface: Surface, method: str) -> None:
    published = engine.engine.state.assessments["main"].risk.values
    for confidence, percent in ((0.95, 95), (0.99, 99)):
        body = surface.call("GET", f"/risk/var/main?method={method.upper()}&confidence={confidence}").body
        assert body["var"] == published[f"{method}_var_{percent}"]
        assert body["cvar"] == published[f"{method}_cvar_{percent}"]
        assert sum(row["var"] for row in body["components"]) == pytest.approx(body["var"], rel=1e-10)
        assert body["observations"] == 252


def test_var_at_any_confidence(engine: EngineHarness, surface: Surface) -> None:
    returns = engine.engine.prices.joint_returns(SYMBOLS, 252)
    outcomes = 800_000.0 * returns[0] - 500_000.0 * returns[1]
    body = surface.call("GET", "/risk/var/main?confidence=0.975").body
    assert body["var"] == pytest.approx(-np.percentile(outcomes, 2.5), rel=1e-11)


def test_a_what_if_replaces_the_positions_and_changes_nothing(engine: EngineHarness, surface: Surface) -> None:
    before = repr(engine.engine.state)
    as_is = surface.call("POST", "/risk/check/main", {}).body
    assert [row["limit_id"] for row in as_is["breaches"]] == ["lev"]
    assert as_is["blocked"] is True
    smaller = surface.call("POST", "/risk/check/main", {"positions": [{"symbol": "AAA.X", "market_value": -1e5}]}).body
    assert smaller["breaches"] == []
    assert (smaller["blocked"], smaller["is_what_if"]) == (False, True)
    assert smaller["exposure"]["leverage"] == pytest.approx(0.1)
    states = {row["limit_id"]: row["state"] for row in smaller["limits"]}
    assert states["lev"] == "ok"
    assert states["default-drawdown"] == "warning", "what was lost is lost whatever is held"
    unknown = surface.call("POST", "/risk/check/main", {"positions": [{"symbol": "NEW.X", "market_value": 1}]}).body
    assert [row["limit_id"] for row in unknown["breaches"]] == ["default-var"]
    assert "NEW.X has the shortest history" in unknown["breaches"][0]["reasons"]["current_value"]
    assert repr(engine.engine.state) == before


def test_limits_are_shown_measured(surface: Surface) -> None:
    body = surface.call("GET", "/risk/limits/lev").body
    assert body["current_value"] == 1.3
    assert body["utilization"] == pytest.approx(1.3 / 1.2)
    assert (body["state"], body["severity"], body["unit"]) == ("breached", "medium", "multiple of equity")
    assert [row["portfolio_id"] for row in body["measurements"]] == ["main"]
    page = surface.call("GET", "/risk/limits?limit=2").body
    assert [item["limit_id"] for item in page["items"]] == ["default-daily-loss", "default-drawdown"]
    rest = surface.call("GET", f"/risk/limits?cursor={page['next_cursor']}").body
    assert [item["limit_id"] for item in rest["items"]] == ["default-leverage", "default-var", "lev"]


def test_a_limit_is_created_replaced_and_removed(engine: EngineHarness, surface: Surface) -> None:
    body = {"limit_id": "size", "limit_type": "Position_Size", "limit_value": "900000", "symbol": "AAA.X"}
    created = surface.call("POST", "/risk/limits", body)
    assert (created.status, created.body["limit_id"]) == (201, "size")
    assert created.body["event_id"]
    assert surface.call("POST", "/risk/limits", body).status == 409
    shown = surface.call("GET", "/risk/limits/size").body
    assert (shown["action"], shown["threshold_warning"], shown["current_value"]) == ("block", 0.8, 800_000.0)
    change = {"limit_type": "position_size", "limit_value": 500_000, "portfolio_id": "other", "enabled": True}
    assert surface.call("PUT", "/risk/limits/size", change).status == 200
    shown = surface.call("GET", "/risk/limits/size").body
    assert (shown["state"], shown["current_value"]) == ("unmeasurable", None)
    assert "has been assessed" in shown["reasons"]["current_value"]
    assert surface.call("PUT", "/risk/limits/size", change | {"enabled": False}).status == 200
    assert surface.call("GET", "/risk/limits/size").body["state"] is None
    assert surface.call("DELETE", "/risk/limits/size").status == 200
    assert surface.call("GET", "/risk/limits/size").status == 404


def test_breaches_are_listed_newest_first_and_resolved(engine: EngineHarness, surface: Surface) -> None:
    items = surface.call("GET", "/risk/breaches?resolved=false").body["items"]
    assert [(item["breach_id"], item["limit_id"]) for item in items] == [
        ("breach-2", "lev"), ("breach-1", "default-drawdown"),
    ]  # fmt: skip
    assert items[0]["breach_percentage"] == pytest.approx(130 / 1.2)
    page = surface.call("GET", "/risk/breaches?limit=1").body
    assert surface.call("GET", f"/risk/breaches?cursor={page['next_cursor']}").body["count"] == 1
    answer = surface.call("POST", "/risk/breaches/breach-2/resolve", {"action_taken": "hedged"})
    assert answer.status == 200
    (resolved,) = surface.call("GET", "/risk/breaches?resolved=true").body["items"]
    assert (resolved["breach_id"], resolved["action_taken"], resolved["resolved"]) == ("breach-2", "hedged", True)
    assert resolved["resolution_time"]


def test_halts(surface: Surface) -> None:
    body = {"reason": "storm", "scope": "Portfolio", "target": "main"}
    assert surface.call("POST", "/risk/halt", body).status == 200
    (halt,) = surface.call("GET", "/risk/halts").body["items"]
    assert (halt["scope"], halt["target"], halt["reason"], halt["cancel_orders"]) == (
        "portfolio",
        "main",
        "storm",
        True,
    )
    assert surface.call("POST", "/risk/check/main").body["halts"] == ["portfolio main"]
    assert surface.call("POST", "/risk/resume", body).body["code"] == "not-confirmed"
    assert surface.call("POST", "/risk/resume", body | {"confirm": True}).status == 200
    assert surface.call("GET", "/risk/halts").body["count"] == 0
    assert surface.call("POST", "/risk/resume", body | {"confirm": True}).body["code"] == "not-halted"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/risk/exposure/nobody", None, 404),
        ("GET", "/risk/var/nobody", None, 404),
        ("GET", "/risk/var/main?confidence=1", None, 422),
        ("GET", "/risk/var/main?confidence=nan", None, 422),
        ("GET", "/risk/var/main?horizon_days=10", None, 422),
        ("GET", "/risk/var/main?method=magic", None, 422),
        ("GET", "/risk/var/main?method=monte_carlo", None, 501),
        ("POST", "/risk/check/nobody", {}, 404),
        ("POST", "/risk/check/main", {"positions": [{"symbol": "A", "market_value": "x"}]}, 422),
        ("POST", "/risk/check/main", {"positions": [{"symbol": "A", "market_value": 1}] * 2}, 422),
        ("POST", "/risk/limits", {"limit_id": "x", "limit_type": "karma", "limit_value": 1}, 422),
        ("POST", "/risk/limits", {"limit_id": "x", "limit_type": "leverage", "limit_value": 0}, 422),
        ("POST", "/risk/limits", {**LEVERAGE, "symbol": "A"}, 422),
        ("POST", "/risk/limits", {**LEVERAGE, "surprise": 1}, 422),
        (
            "POST",
            "/risk/limits",
            {**LEVERAGE, "threshold_warning": 1},
            422,
        ),
        ("PUT", "/risk/limits/nothing", {"limit_type": "leverage", "limit_value": 1}, 404),
        ("DELETE", "/risk/limits/nothing", None, 404),
        ("POST", "/risk/breaches/breach-99/resolve", {"action_taken": "x"}, 404),
        ("POST", "/risk/halt", {"reason": "x", "scope": "strategy"}, 422),
        ("POST", "/risk/halt", {"scope": "all"}, 422),
    ],
)
def test_refusals(surface: Surface, method: str, path: str, body: Any, status: int) -> None:
    answer = surface.call(method, path, body)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["detail"]


def test_var_without_enough_history_or_fresh_valuation_is_409(engine: EngineHarness, surface: Surface) -> None:
    engine.send(snapshot(LAST, {"NEW.X": 1.0}, portfolio_id="young"))
    assert surface.call("GET", "/risk/var/young").body["code"] == "not-assessed"
    engine.send(*step(LAST))
    answer = surface.call("GET", "/risk/var/young").body
    assert (answer["status"], answer["code"], answer["have"], answer["need"]) == (409, "insufficient-history", 0, 60)
    engine.send(*step(LAST + 1))
    assert surface.call("GET", "/risk/var/main").body["code"] == "stale-input"


def test_metrics_are_the_states_figures(engine: EngineHarness) -> None:
    registry = CollectorRegistry()
    register_metrics(engine.engine, registry)
    text = generate_latest(registry).decode()
    var = engine.engine.state.assessments["main"].risk.values["historical_var_95"]
    assert f'nautilus_risk_var_amount{{confidence_level="0.95",portfolio="main"}} {var!r}' in text
    assert 'nautilus_risk_leverage{portfolio="main"} 1.3' in text
    assert "nautilus_risk_breach_alerts_total 2.0" in text
    assert 'nautilus_risk_breaches_open{severity="medium"} 1.0' in text
    assert 'nautilus_risk_halts{scope="all"} 0.0' in text
