"""The HTTP surface: what it shows is the state, what it writes goes through commands, what it refuses says why."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from libs.contracts.orders import OrderSubmitted
from libs.testing.engine_harness import EngineHarness
from libs.testing.harness_commands import HarnessCommands
from libs.testing.surface import Answer, Surface
from services.strategy.api import router
from services.strategy.metrics import register_metrics
from services.strategy.settings import StrategyDefinition
from tests.services.strategy.builders import close, day, ready_harness, report

MA = StrategyDefinition(strategy_id="ma", library_id="moving_average_cross", parameters={"fast": 2, "slow": 3})


@pytest.fixture
def engine() -> EngineHarness:
    return ready_harness(strategies=(MA,))


@pytest.fixture
def surface(engine: EngineHarness) -> Surface:
    return Surface(router(engine.engine, HarnessCommands(engine)))


def order(surface: Surface, key: str = "k1", **body: Any) -> Answer:
    given = {"symbol": "AAA.X", "side": "buy", "quantity": "10"} | body
    return surface.call("POST", "/orders", given, {"Idempotency-Key": key})


def test_an_order_is_placed_shown_and_cancelled(surface: Surface) -> None:
    placed = order(surface, type="LIMIT", side="BUY", limit_price=99.5, time_in_force="GTC")
    assert placed.status == 201
    assert placed.body == {
        "client_order_id": "strategy-00000001", "state": "submitted", "event_id": "test:1", "correlation_id": "test:1",
    }  # fmt: skip
    shown = surface.call("GET", "/orders/strategy-00000001").body
    assert (shown["state"], shown["quantity"], shown["limit_price"], shown["leaves_quantity"]) == (
        "submitted", "10", "99.5", "10",
    )  # fmt: skip
    assert (shown["average_price"], shown["reasons"]) == (None, {"average_price": "nothing is filled"})
    assert shown["submitted_at"] == "2020-01-02T00:00:00.000000Z"
    cancelled = surface.call("DELETE", "/orders/strategy-00000001")
    assert (cancelled.status, cancelled.body["state"]) == (200, "pending_cancel")
    again = surface.call("DELETE", "/orders/strategy-00000001")
    assert (again.status, again.body["code"]) == (409, "order-over")


def test_a_denied_order_is_a_409_with_the_check_and_is_kept(surface: Surface) -> None:
    answer = order(surface, quantity="100000000")
    assert answer.status == 409
    body = answer.body
    assert (body["code"], body["check"], body["limit"], body["value"]) == (
        "order-denied", "max-quantity", "10000000", "100000000",
    )  # fmt: skip
    assert body["remedy"] == "split the order, or set RISK_MAX_QUANTITY"
    assert body["detail"] == "max-quantity: limit 10000000, was 100000000"
    shown = surface.call("GET", f"/orders/{body['client_order_id']}").body
    assert (shown["state"], shown["check"], shown["quantity"]) == ("denied", "max-quantity", "100000000")
    assert order(surface, quantity="100000000").body["client_order_id"] == body["client_order_id"]


def test_the_same_key_is_answered_as_the_first_time(engine: EngineHarness, surface: Surface) -> None:
    first, second = order(surface), order(surface)
    assert first.body["client_order_id"] == second.body["client_order_id"]
    assert len(engine.of_type(OrderSubmitted)) == 1
    other = order(surface, quantity="11")
    assert (other.status, other.body["code"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"quantity": "0"}, "quantity"), ({"quantity": "-1"}, "quantity"), ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "Infinity"}, "quantity"), ({"quantity": "1e400"}, "quantity"), ({"quantity": "x"}, "quantity"),
        ({"side": "hold"}, "side"), ({"type": "iceberg"}, "type"), ({"time_in_force": "gtd"}, "time_in_force"),
        ({"type": "limit"}, "body"), ({"limit_price": "5"}, "body"), ({"surprise": 1}, "surprise"),
        ({"portfolio_id": "../x"}, "portfolio_id"), ({"symbol": ""}, "symbol"),
    ],
)  # fmt: skip
def test_bad_orders_are_422_and_never_500(
    engine: EngineHarness, surface: Surface, body: dict[str, Any], loc: str
) -> None:
    answer = order(surface, **body)
    assert (answer.status, answer.body["code"]) == (422, "invalid-request")
    assert loc in str(answer.body["errors"][0]["loc"])
    assert engine.of_type(OrderSubmitted) == []


def test_an_order_needs_a_key(surface: Surface) -> None:
    answer = surface.call("POST", "/orders", {"symbol": "AAA.X", "side": "buy", "quantity": "1"})
    assert answer.status == 422
    assert "idempotency-key" in str(answer.body["errors"][0]["loc"]).lower()


def test_orders_are_listed_newest_first_page_by_page(engine: EngineHarness, surface: Surface) -> None:
    for number in range(1, 4):
        order(surface, key=str(number), quantity=str(number))
    order(surface, key="denied", quantity="100000000")
    engine.send(report("filled", "strategy-00000002", quantity="2", price="101", commission="1", ts=day(1)))
    page = surface.call("GET", "/orders?limit=2").body
    assert [item["client_order_id"] for item in page["items"]] == ["strategy-00000004", "strategy-00000003"]
    rest = surface.call("GET", f"/orders?limit=2&cursor={page['next_cursor']}").body
    assert [item["client_order_id"] for item in rest["items"]] == ["strategy-00000002", "strategy-00000001"]
    assert rest["next_cursor"] is None
    filled = surface.call("GET", "/orders?state=filled").body["items"]
    assert [(item["client_order_id"], item["average_price"], item["commission"]) for item in filled] == [
        ("strategy-00000002", "101.0000000000", "1")
    ]
    assert [item["state"] for item in surface.call("GET", "/orders?state=denied").body["items"]] == ["denied"]
    assert surface.call("GET", "/orders?symbol=ZZZ").body["count"] == 0
    assert surface.call("GET", "/orders?state=lost").status == 422
    assert surface.call("GET", "/orders/nothing").body["code"] == "not-found"


def test_cancel_all(surface: Surface) -> None:
    order(surface, key="1")
    order(surface, key="2", quantity="11", strategy_id="other")
    answer = surface.call("POST", "/orders/cancel-all", {"strategy_id": "other"})
    assert answer.body["client_order_ids"] == ["strategy-00000002"]
    assert surface.call("POST", "/orders/cancel-all", {}).body["client_order_ids"] == ["strategy-00000001"]


def test_strategies_are_shown_with_their_parameters_in_force(surface: Surface) -> None:
    listed = surface.call("GET", "/strategies").body
    assert listed["count"] == 1
    shown = surface.call("GET", "/strategies/ma").body
    assert listed["items"] == [shown]
    assert shown["parameters"]["slow"] == 3
    assert shown["parameters"]["weight"] == 0.015  # a default
    assert (shown["state"], shown["actor"], shown["realized_pnl"]) == ("running", "settings", "0")
    assert surface.call("GET", "/strategies/nobody").status == 404


def test_the_library_tells_what_can_be_configured(surface: Surface) -> None:
    items = surface.call("GET", "/strategies/library").body["items"]
    assert [item["library_id"] for item in items] == ["cross_sectional_momentum", "moving_average_cross"]
    assert items[1]["defaults"]["fast"] == 10
    schema = items[1]["parameters"]["$defs"]["MovingAverageCrossParameters"]["properties"]
    assert (schema["fast"]["minimum"], schema["band"]["default"]) == (1, 0.0)


def test_strategies_are_paused_stopped_and_started(surface: Surface) -> None:
    for verb, state in (("pause", "paused"), ("stop", "stopped"), ("start", "running")):
        answer = surface.call("POST", f"/strategies/ma/{verb}", {"reason": "test"})
        assert (answer.status, answer.body["state"]) == (200, state)
        assert surface.call("GET", "/strategies/ma").body["reason"] == "test"
    assert surface.call("POST", "/strategies/ma/start", {}).status == 409
    assert surface.call("POST", "/strategies/nobody/start", {}).status == 404


def test_positions_are_valued_at_the_last_price(engine: EngineHarness, surface: Surface) -> None:
    order(surface)
    engine.send(report("filled", quantity="10", price="101", commission="1", ts=day(1)), close(104.5, day(2)))
    item = surface.call("GET", "/positions").body["items"][0]
    assert (item["strategy_id"], item["quantity"], item["cost"]) == ("manual", "10", "1010")
    assert (item["market_value"], item["unrealized_pnl"], item["commission"]) == ("1045.0", "35.0", "1")
    assert item["mark"] == {
        "price": 104.5, "source": "test", "as_of": "2020-01-03T00:00:00.000000Z", "age_seconds": 0.0,
        "is_synthetic": False,
    }  # fmt: skip
    assert surface.call("GET", "/positions?strategy_id=ma").body["count"] == 0


def test_metrics_are_read_from_the_state(engine: EngineHarness, surface: Surface) -> None:
    registry = CollectorRegistry()
    register_metrics(engine.engine, registry)
    assert b"nautilus_execution_slippage_bps" not in generate_latest(registry)  # no fill, no figure
    order(surface, key="1")
    order(surface, key="2", quantity="100000000")
    engine.send(report("filled", quantity="10", price="100.05", reference="100", ts=day(1)), report("filled", "x"))
    text = generate_latest(registry).decode()
    for line in (
        "nautilus_trades_total 1.0", "nautilus_orders_submitted_total 1.0", "nautilus_active_orders 0.0",
        'nautilus_orders_denied_total{check="max-quantity"} 1.0', 'nautilus_orders_ended_total{state="filled"} 1.0',
        'nautilus_venue_reports_refused_total{why="unknown-order"} 1.0', "nautilus_order_success_rate 1.0",
        "nautilus_execution_slippage_bps 5.0", 'nautilus_strategy_running{strategy_id="ma"} 1.0', "nautilus_halts 0.0",
    ):  # fmt: skip
        assert line in text
