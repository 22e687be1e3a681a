"""Commands: what they answer, and that the same key is the same order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.contracts.orders import (
    CancelAllOrders,
    CancelOrder,
    OrderCancelRequested,
    OrderDenied,
    OrderSubmitted,
    SetStrategyState,
    StrategyStateChanged,
)
from libs.engine.errors import CommandRefused
from tests.services.strategy.builders import close, day, place, ready_harness, report, strategy_harness
from tests.services.strategy.recorder import recorder, recording  # noqa: F401


def test_the_same_key_is_the_same_order_even_after_a_restart() -> None:
    harness = ready_harness()
    harness.send(place(key="a", ts=day(1)))
    first = harness.reply
    harness.restart()
    harness.send(place(key="a", ts=day(1) + 1, actor="somebody else"))
    assert harness.reply == first == {"client_order_id": "strategy-00000001", "state": "submitted"}
    assert len(harness.of_type(OrderSubmitted)) == 1


def test_a_key_used_for_another_order_is_refused() -> None:
    harness = ready_harness()
    harness.send(place(key="a", ts=day(1)))
    with pytest.raises(CommandRefused, match="used for another before") as refused:
        harness.send(place(key="a", quantity="11", ts=day(1)))
    assert (refused.value.status, refused.value.code) == (422, "idempotency-key-reused")
    with pytest.raises(CommandRefused, match="must be given"):
        harness.send(place(key="", ts=day(1)))
    assert len(harness.of_type(OrderSubmitted)) == 1


def test_a_denial_is_answered_published_and_remembered() -> None:
    harness = ready_harness(cash="500")
    harness.send(place(quantity="10", key="a", ts=day(1)))
    expected = {
        "client_order_id": "strategy-00000001", "state": "denied", "check": "buying-power", "limit": "500",
        "value": "1010", "remedy": "buy less, sell first, or cancel open buys; 1 % is reserved for costs",
    }  # fmt: skip
    assert harness.reply == expected
    denied = harness.of_type(OrderDenied)
    assert [(one.client_order_id, one.check, one.value) for one in denied] == [
        ("strategy-00000001", "buying-power", "1010")
    ]
    harness.send(place(quantity="10", key="a", ts=day(1)))
    assert harness.reply == expected
    assert len(harness.of_type(OrderDenied)) == 1
    assert harness.engine.status()["orders_denied"] == {"buying-power": 1}


def test_an_equal_order_under_another_key_is_a_duplicate_within_the_window() -> None:
    harness = ready_harness()
    harness.send(place(key="a", ts=day(1)), place(key="b", ts=day(1)))
    assert harness.reply["check"] == "duplicate-order"
    harness.send(place(key="c", ts=day(1), quantity="11"))
    assert harness.reply["state"] == "submitted"
    harness.send(close(100.0, day(2)), place(key="d", ts=day(2)))
    assert harness.reply["state"] == "submitted"
    assert len(harness.engine.state.recent_orders) == 1  # what is past the window is forgotten


def test_an_order_is_cancelled_once() -> None:
    harness = ready_harness()
    harness.send(place(ts=day(1)))
    harness.send(CancelOrder(day(1), "strategy-00000001", "ann", "too early"))
    assert harness.reply == {"client_order_id": "strategy-00000001", "state": "pending_cancel"}
    assert harness.of_type(OrderCancelRequested)[0].reason == "ann: too early"
    with pytest.raises(CommandRefused, match="must be working, was pending_cancel"):
        harness.send(CancelOrder(day(1), "strategy-00000001", "ann", ""))
    with pytest.raises(CommandRefused, match="'strategy-00000009' is not kept"):
        harness.send(CancelOrder(day(1), "strategy-00000009", "ann", ""))
    harness.send(report("cancelled"))
    with pytest.raises(CommandRefused, match="was cancelled"):
        harness.send(CancelOrder(day(1), "strategy-00000001", "ann", ""))


@pytest.mark.parametrize(
    ("strategy_id", "symbol", "cancelled"),
    [("", "", ["1", "2", "3"]), ("other", "", ["3"]), ("", "AAA.X", ["1", "2", "3"]), ("", "BBB.X", [])],
)
def test_many_orders_are_cancelled_at_once(strategy_id: str, symbol: str, cancelled: list[str]) -> None:
    harness = ready_harness()
    harness.send(place(key="1", ts=day(1)), place(key="2", quantity="11", ts=day(1)))
    harness.send(place(key="3", ts=day(1), strategy_id="other"))
    harness.send(CancelAllOrders(day(1), strategy_id, symbol, "ann", ""))
    assert harness.reply == {"client_order_ids": [f"strategy-0000000{number}" for number in cancelled]}
    assert [one.reason for one in harness.of_type(OrderCancelRequested)] == ["cancelled by ann"] * len(cancelled)


@pytest.mark.usefixtures("recording")
def test_strategies_start_pause_and_stop() -> None:
    harness = strategy_harness(strategies=(recorder(buy_at=10.0),))
    harness.send(SetStrategyState(0, "rec", "paused", "ann", "lunch"))
    assert harness.reply == {"strategy_id": "rec", "previous_state": "running", "state": "paused"}
    with pytest.raises(CommandRefused, match="is paused already") as refused:
        harness.send(SetStrategyState(0, "rec", "paused", "ann", ""))
    assert refused.value.status == 409
    with pytest.raises(CommandRefused, match="'nobody' is not configured"):
        harness.send(SetStrategyState(0, "nobody", "paused", "ann", ""))
    harness.restart()
    harness.send(close(10.0, day(1)))
    harness.close_step(day(1))
    assert harness.engine.state.slots["rec"].orders_withheld == 1
    assert harness.of_type(OrderDenied) == []
    harness.send(SetStrategyState(day(1), "rec", "running", "ann", "back"))
    states = [(one.state, one.actor, one.reason) for one in harness.of_type(StrategyStateChanged)]
    assert states == [("running", "settings", "configured"), ("paused", "ann", "lunch"), ("running", "ann", "back")]


@pytest.mark.usefixtures("recording")
def test_stopping_cancels_orders_and_keeps_positions() -> None:
    harness = ready_harness(strategies=(recorder(),))
    harness.send(place(key="1", ts=day(1), strategy_id="rec"), place(key="2", ts=day(1)))
    harness.send(report("filled", quantity="4", price="100", ts=day(1)))
    harness.send(SetStrategyState(day(1), "rec", "stopped", "ann", ""))
    assert [one.client_order_id for one in harness.of_type(OrderCancelRequested)] == ["strategy-00000001"]
    assert harness.engine.positions.quantity("main", "rec", "AAA.X") == Decimal(4)


@pytest.mark.usefixtures("recording")
def test_a_failed_strategy_begins_anew() -> None:
    harness = strategy_harness(strategies=(recorder(fail_at=11.0),))
    harness.send(close(11.0, day(1)))
    harness.close_step(day(1))
    assert harness.engine.state.slots["rec"].state == "failed"
    harness.send(SetStrategyState(day(1), "rec", "running", "ann", "mended"))
    assert harness.reply["previous_state"] == "failed"
    assert harness.engine.runner._strategies["rec"].data.calls == 1  # on_start, nothing before it
