"""What holds at the paper venue whatever orders and prices come."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.market import StepClosed
from libs.contracts.orders import ExecutionReported, OrderCancelRequested, OrderSubmitted
from libs.engine.engine import Outbox
from libs.messagebus.topic import Event
from services.strategy.gate import OrderRequest
from services.strategy.order_manager import OrderManager
from services.strategy.state import OrderBookState
from tests.services.strategy.builders import DAY, SYMBOL, bar, close, day, paper_harness, quote, submitted

prices = st.integers(80, 120).map(float)


@st.composite
def a_bar(draw: st.DrawFn, ts: int) -> Event:
    """A bar whose extremes contain its open and close."""
    four = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    inner = draw(st.permutations(four[1:3]))
    return bar(inner[0], four[3], four[0], inner[1], draw(st.integers(0, 3_000)), ts)


@st.composite
def an_order(draw: st.DrawFn, number: int, ts: int) -> OrderSubmitted:
    kind = draw(st.sampled_from(["market", "limit", "stop", "stop_limit"]))
    given_prices: dict[str, Any] = {
        "limit": str(draw(st.integers(80, 120))) if "limit" in kind else None,
        "stop": str(draw(st.integers(80, 120))) if "stop" in kind else None,
    }
    side, tif = draw(st.sampled_from(["buy", "sell"])), draw(st.sampled_from(["day", "gtc", "ioc", "fok"]))
    return submitted(side, str(draw(st.integers(1, 400))), ts, f"o{number:02d}", kind, tif=tif, **given_prices)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A market of bars, closes and quotes with orders and cancels in between."""
    events: list[Event] = []
    for number in range(2, draw(st.integers(3, 14))):
        ts = day(0) + number * DAY
        kind = draw(st.integers(0, 6))
        if kind <= 2:
            events.append(draw(an_order(number, ts)))
        elif kind == 3:
            target = f"o{draw(st.integers(2, number)):02d}"
            events.append(OrderCancelRequested(ts, target, "manual", SYMBOL, "paper", "test"))
        elif kind == 4:
            events.append(close(draw(prices), ts))
        elif kind == 5:
            events.append(quote((bid := draw(prices)), bid + 1, ts, float(draw(st.integers(0, 300)))))
        else:
            events.append(draw(a_bar(ts)))
        events.append(StepClosed(ts, "mark", number))
    return events


@given(histories())
@settings(max_examples=80, deadline=None)
def test_conservation(events: list[Event]) -> None:
    harness = paper_harness(paper_slippage_bps=7, paper_commission="per_share")
    harness.send(*events)
    orders = {one.client_order_id: one for one in events if isinstance(one, OrderSubmitted)}
    said: dict[str, list[ExecutionReported]] = defaultdict(list)
    for one in harness.of_type(ExecutionReported):
        said[one.client_order_id].append(one)
    for key, order in orders.items():
        assert said[key][0].report == "accepted"
        filled, is_over = Decimal(0), False
        for one in said[key][1:]:
            if one.report == "cancel_rejected":
                continue
            assert not is_over, f"{key} must be silent once it is over"
            if one.report == "filled":
                filled += one.last_quantity
                assert one.last_quantity > 0
                assert one.commission >= 0
                assert one.ts_event > order.ts_event
                _check_price(order, one)
            assert one.cumulative_quantity == filled <= order.quantity
            is_over = one.report != "filled" or filled == order.quantity
            assert one.leaves_quantity == (Decimal(0) if is_over else order.quantity - filled)
        assert is_over == (key not in harness.engine.state.working)
    ids = [one.report_id for one in harness.of_type(ExecutionReported)]
    assert ids == sorted(set(ids))


def _check_price(order: OrderSubmitted, fill: ExecutionReported) -> None:
    worse = fill.last_price - fill.reference_price if order.side == "buy" else fill.reference_price - fill.last_price
    assert worse >= 0, "nothing is ever better than the market it is measured against"
    if order.limit_price is not None:
        assert fill.last_price <= order.limit_price if order.side == "buy" else fill.last_price >= order.limit_price
    assert fill.last_price == fill.last_price.quantize(Decimal("0.01"))


@given(histories())
@settings(max_examples=60, deadline=None)
def test_the_order_manager_finds_every_report_legal(events: list[Event]) -> None:
    harness, book = paper_harness(), OrderBookState()
    manager = OrderManager(book, Outbox())
    for event in events:
        if isinstance(event, OrderSubmitted):
            request = OrderRequest("main", "manual", SYMBOL, event.side, event.quantity)
            manager.submit(
                event.client_order_id, request, currency="USD", multiplier=Decimal(1), reference_price=Decimal(1), ts=1
            )
        elif isinstance(event, OrderCancelRequested):
            order = manager.get(event.client_order_id)
            if order is None or not manager.request_cancel(order, "test", 1):
                continue  # such a cancel is never sent
        for said in harness.send(event):
            assert isinstance(said, ExecutionReported)
            manager.apply(said)
        assert book.refused_reports == {}
        assert {order.client_order_id for order in manager.working()} == set(harness.engine.state.working)


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_an_order_and_the_close_of_its_step_may_arrive_in_either_order(events: list[Event], chosen: Random) -> None:
    swapped = list(events)
    for index in range(len(swapped) - 1):
        first, second = swapped[index], swapped[index + 1]
        if isinstance(first, OrderSubmitted) and isinstance(second, StepClosed) and chosen.random() < 0.5:
            swapped[index], swapped[index + 1] = second, first
    assert _by_order(events) == _by_order(swapped)


def _by_order(events: list[Event]) -> dict[str, list[ExecutionReported]]:
    """What became of each order; the ids that number all reports are left out."""
    harness = paper_harness()
    harness.send(*events)
    said: dict[str, list[ExecutionReported]] = defaultdict(list)
    for one in harness.of_type(ExecutionReported):
        said[one.client_order_id].append(msgspec.structs.replace(one, report_id=""))
    return said
