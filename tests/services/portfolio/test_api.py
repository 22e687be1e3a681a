"""The HTTP surface: what it shows is the ledger, what it writes goes through commands, what it refuses says why."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from libs.testing.engine_harness import EngineHarness
from libs.testing.harness_commands import HarnessCommands
from libs.testing.surface import Surface
from services.portfolio.api import router
from services.portfolio.metrics import register_metrics
from tests.services.portfolio.builders import DAY, close, fill, harness


@pytest.fixture
def engine() -> EngineHarness:
    engine = harness("AAA.X", "BBB.X")
    engine.send(fill("buy", "10", "5", "BBB.X", commission="1.50"), fill("buy", "3", "7", "AAA.X"))
    engine.send(fill("sell", "10", "6", "BBB.X"), close(8.25, "AAA.X"))
    engine.close_step(DAY)
    return engine


@pytest.fixture
def surface(engine: EngineHarness) -> Surface:
    return Surface(router(engine.engine, HarnessCommands(engine)))


def test_a_portfolio_is_shown_at_its_last_valuation(surface: Surface) -> None:
    answer = surface.call("GET", "/portfolios/main")
    assert answer.status == 200
    assert answer.body["cash_balance"] == "999987.5"
    assert answer.body["equity"] == "1000012.25"
    assert answer.body["realized_pnl"] == "10"
    assert answer.body["unrealized_pnl"] == "3.75"
    assert answer.body["fees"] == "1.5"
    assert answer.body["pnl_day"] == "12.25"
    assert answer.body["as_of"] == "1970-01-02T00:00:00Z"
    assert answer.body["age_seconds"] == 0.0
    assert answer.body["reasons"] == {}
    listed = surface.call("GET", "/portfolios").body
    assert listed == {"items": [answer.body], "count": 1, "next_cursor": None}


def test_positions_are_valued_at_the_newest_price(engine: EngineHarness, surface: Surface) -> None:
    engine.send(close(9.0, "AAA.X", ts=DAY + 5_000_000_000))
    body = surface.call("GET", "/portfolios/main/positions").body
    assert [item["symbol"] for item in body["items"]] == ["AAA.X"]
    assert body["items"][0]["market_value"] == "27"
    assert body["items"][0]["unrealized_pnl"] == "6"
    assert body["items"][0]["mark_ts"] == DAY + 5_000_000_000
    with_flat = surface.call("GET", "/portfolios/main/positions?include_flat=true&limit=1").body
    assert (with_flat["count"], with_flat["next_cursor"]) == (1, "AAA.X")
    rest = surface.call("GET", "/portfolios/main/positions?include_flat=true&cursor=AAA.X").body
    assert rest["items"][0]["realized_pnl"] == "10"
    assert rest["items"][0]["quantity"] == "0"


def test_history_pages_from_the_newest_days_back(engine: EngineHarness, surface: Surface) -> None:
    for day in range(2, 6):
        engine.send(close(8.0 + day, "AAA.X", ts=day * DAY))
        engine.close_step(day * DAY)
    page = surface.call("GET", "/portfolios/main/history?limit=2").body
    assert [item["ts_event"] // DAY for item in page["items"]] == [4, 5]
    assert page["items"][-1] == {
        "ts_event": 5 * DAY, "equity": "1000026.5", "cash": "999987.5", "pnl_day": "3", "net_flows": "1000000",
    }  # fmt: skip
    older = surface.call("GET", f"/portfolios/main/history?limit=9&cursor={page['next_cursor']}").body
    assert [item["ts_event"] // DAY for item in older["items"]] == [1, 2, 3]
    assert older["next_cursor"] is None


def test_a_new_portfolio_is_told_apart_from_one_worth_nothing(surface: Surface) -> None:
    created = surface.call("POST", "/portfolios", {"portfolio_name": "Family Office #2", "cash_balance": 250.5})
    assert created.status == 201
    assert created.body["portfolio_id"] == "family-office-2"
    assert created.body["event_id"]
    body = surface.call("GET", "/portfolios/family-office-2").body
    assert body["cash_balance"] == "250.5"
    assert body["equity"] is None
    assert "not valued yet" in body["reasons"]["equity"]
    again = surface.call("POST", "/portfolios", {"portfolio_name": "Family Office #2"})
    assert (again.status, again.body["code"]) == (409, "duplicate")


def test_cash_flows_are_booked_once(surface: Surface) -> None:
    body = {"amount": "100.10", "kind": "Deposit", "reference": "wire 7"}
    answer = surface.call("POST", "/portfolios/main/cash-flows", body)
    assert (answer.status, answer.body["balance"]) == (201, "1000087.6")
    answer = surface.call("POST", "/portfolios/main/cash-flows", body)
    assert (answer.status, answer.body["code"]) == (409, "duplicate")
    assert surface.call("GET", "/portfolios/main").body["cash_balance"] == "1000087.6"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/portfolios/nobody", None, 404),
        ("GET", "/portfolios/nobody/positions", None, 404),
        ("GET", "/portfolios/nobody/history", None, 404),
        ("GET", "/portfolios?limit=0", None, 422),
        ("GET", "/portfolios/main/history?limit=50001", None, 422),
        ("POST", "/portfolios/nobody/cash-flows", {"amount": 1, "kind": "deposit", "reference": "r"}, 404),
        ("POST", "/portfolios/main/cash-flows", {"amount": "x", "kind": "deposit", "reference": "r"}, 422),
        ("POST", "/portfolios/main/cash-flows", {"amount": "1e20", "kind": "deposit", "reference": "r"}, 422),
        ("POST", "/portfolios/main/cash-flows", {"amount": "1", "kind": "gift", "reference": "r"}, 422),
        ("POST", "/portfolios/main/cash-flows", {"amount": "1", "kind": "deposit", "reference": "r", "x": 1}, 422),
        ("POST", "/portfolios/main/cash-flows", {"amount": "9e9", "kind": "withdrawal", "reference": "r"}, 409),
        ("POST", "/portfolios", {"portfolio_name": "!!!"}, 422),
        ("POST", "/portfolios", {"portfolio_name": "a", "portfolio_id": "../x"}, 422),
        ("POST", "/portfolios", {"portfolio_name": "a", "cash_balance": -1}, 422),
    ],
)
def test_refusals(surface: Surface, method: str, path: str, body: Any, status: int) -> None:
    answer = surface.call(method, path, body)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["detail"]


def test_capabilities_say_what_is_missing_and_why(surface: Surface) -> None:
    items = surface.call("GET", "/capabilities").body["items"]
    assert {item["name"] for item in items if item["available"]} >= {"ledger", "history", "cash-flows"}
    assert all(item["reason"] for item in items if not item["available"])


def test_metrics_are_the_ledgers_figures(engine: EngineHarness) -> None:
    registry = CollectorRegistry()
    register_metrics(engine.engine, registry)
    text = generate_latest(registry).decode()
    assert 'nautilus_portfolio_total_value{currency="USD",portfolio="main"} 1.00001225e+06' in text
    assert 'nautilus_portfolio_unrealized_pnl{currency="USD",portfolio="main"} 3.75' in text
    assert 'nautilus_portfolio_realized_pnl{currency="USD",portfolio="main"} 10.0' in text
    assert "nautilus_portfolio_fills_total 3.0" in text
