"""Halts: which orders they stop and cancel, and that only a person lifts them."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts.orders import OrderCancelRequested, OrderDenied, OrderUnknown
from libs.contracts.risk import HaltChanged
from libs.testing.engine_harness import EngineHarness
from tests.services.strategy.builders import close, day, instrument, place, ready_harness, report

SECOND = 1_000_000_000


def halt(scope: str = "all", target: str = "", halted: bool = True, **changes: Any) -> HaltChanged:
    return HaltChanged(day(1), halted, scope, target, "drawdown", "risk", **changes)  # type: ignore[arg-type]


def state_of(harness: EngineHarness, command: Any) -> str:
    harness.send(command)
    return str(harness.reply["state"] if harness.reply["state"] == "submitted" else harness.reply["check"])


@pytest.mark.parametrize(
    ("scope", "target", "stops"),
    [
        ("all", "", True), ("portfolio", "main", True), ("portfolio", "other", False), ("strategy", "manual", True),
        ("strategy", "other", False), ("symbol", "AAA.X", True), ("symbol", "BBB.X", False),
    ],
)  # fmt: skip
def test_a_halt_stops_what_lies_in_its_scope(scope: str, target: str, stops: bool) -> None:
    harness = ready_harness()
    harness.send(halt(scope, target))
    assert state_of(harness, place(ts=day(1))) == ("halted" if stops else "submitted")
    if stops:
        denied = harness.of_type(OrderDenied)[0]
        assert denied.value == f"{scope} {target} halted by risk: drawdown".replace("all  ", "all ")


def test_a_halt_outlives_a_restart_and_is_lifted_only_by_its_own_release() -> None:
    harness = ready_harness()
    harness.send(halt("symbol", "AAA.X"), halt())
    harness.restart()
    assert state_of(harness, place(ts=day(1), key="1")) == "halted"
    harness.send(halt(halted=False))
    assert state_of(harness, place(ts=day(1), key="2")) == "halted"  # the symbol still is
    assert harness.engine.status()["halts"] == ["symbol:AAA.X"]
    harness.send(halt("symbol", "AAA.X", halted=False))
    assert state_of(harness, place(ts=day(1), key="3")) == "submitted"


def test_working_orders_in_scope_are_cancelled_when_the_halt_says_so() -> None:
    harness = ready_harness()
    harness.send(instrument("BBB.X"), close(50.0, day(1), "BBB.X"))
    harness.send(place(ts=day(1), key="1"), place(ts=day(1), key="2", symbol="BBB.X"))
    harness.send(halt("symbol", "BBB.X", cancel_orders=False))
    assert harness.of_type(OrderCancelRequested) == []
    harness.send(halt("symbol", "AAA.X"))
    requests = harness.of_type(OrderCancelRequested)
    assert [(one.client_order_id, one.reason) for one in requests] == [("strategy-00000001", "halted: drawdown")]
    harness.send(halt())
    assert [one.client_order_id for one in harness.of_type(OrderCancelRequested)] == [
        "strategy-00000001",
        "strategy-00000002",
    ]  # no second request for the first


def test_orders_that_reduce_pass_where_the_halt_allows_them() -> None:
    harness = ready_harness()
    harness.send(place(ts=day(1)), report("filled", quantity="10", price="100", ts=day(1)))
    harness.send(halt())
    assert state_of(harness, place("sell", "10", ts=day(1), key="2")) == "halted"
    harness.send(halt(allow_reducing=True))
    assert state_of(harness, place("sell", "11", ts=day(1), key="3")) == "halted"
    assert state_of(harness, place("buy", "1", ts=day(1), key="4")) == "halted"
    assert state_of(harness, place("sell", "10", ts=day(1), key="5")) == "submitted"
    assert state_of(harness, place("sell", "1", ts=day(1), key="6")) == "halted"  # all of it is being sold already


def test_an_order_without_an_answer_is_unknown_and_stops_its_symbol_until_there_is_one() -> None:
    harness = ready_harness()
    harness.send(place(ts=day(1)), close(100.0, day(1) + 30 * SECOND))
    harness.close_step(day(1) + 30 * SECOND)
    assert harness.of_type(OrderUnknown) == []  # right at the limit
    harness.send(close(100.0, day(1) + 31 * SECOND))
    harness.close_step(day(1) + 31 * SECOND)
    lost = harness.of_type(OrderUnknown)
    assert [(one.client_order_id, one.reason) for one in lost] == [
        ("strategy-00000001", "no answer from paper for 31 s")
    ]
    harness.restart()
    assert state_of(harness, place(ts=day(1) + 31 * SECOND, key="2")) == "halted"
    harness.send(report("accepted", ts=day(1) + 40 * SECOND))
    assert harness.engine.orders.get("strategy-00000001").state == "accepted"
    assert state_of(harness, place(ts=day(1) + 40 * SECOND, key="3")) == "submitted"
    harness.close_step(day(2))
    assert len(harness.of_type(OrderUnknown)) == 2  # the third order had no answer either, the first had
