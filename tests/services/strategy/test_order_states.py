"""The life of an order: the table, and that no order of messages books anything twice or wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.orders import ExecutionReported, OrderFilled
from libs.engine.engine import Outbox
from services.strategy.gate import OrderRequest
from services.strategy.order_manager import OrderManager
from services.strategy.order_states import TERMINAL, TRANSITIONS, event_of_report, next_state
from services.strategy.state import OrderBookState, OrderRecord
from tests.services.strategy.builders import report

QUANTITY = 10

#: Which states follow which.
_STEPS = {(state, after) for (state, _), after in TRANSITIONS.items()}


def _manager() -> tuple[OrderManager, OrderRecord, Outbox]:
    outbox = Outbox()
    manager = OrderManager(OrderBookState(), outbox)
    order = manager.submit(
        manager.next_id(), OrderRequest("main", "s", "AAA.X", "buy", Decimal(QUANTITY)), currency="USD",
        multiplier=Decimal(1), reference_price=Decimal(100), ts=1,
    )  # fmt: skip
    return manager, order, outbox


def _apply(reports: Sequence[ExecutionReported]) -> tuple[OrderManager, OrderRecord, list[OrderFilled]]:
    manager, order, outbox = _manager()
    for one in reports:
        manager.apply(one)
    return manager, order, [event for event in outbox.events if isinstance(event, OrderFilled)]


def test_every_state_of_the_table_is_reachable_and_terminal_ones_never_work_again() -> None:
    reached = {"initialized"}
    for _ in TRANSITIONS:
        reached |= {after for (state, _), after in TRANSITIONS.items() if state in reached}
    assert reached == {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values())
    for (state, event), after in TRANSITIONS.items():
        if state in TERMINAL:
            assert after in TERMINAL, f"{state} must stay terminal on {event}"


@pytest.mark.parametrize(
    ("state", "event"),
    [("denied", "fill"), ("rejected", "fill"), ("filled", "fill"), ("filled", "cancel"), ("accepted", "accept"),
     ("cancelled", "cancel"), ("initialized", "accept"), ("filled", "request_cancel"), ("accepted", "keep")],
)  # fmt: skip
def test_what_cannot_happen_is_not_in_the_table(state: str, event: str) -> None:
    assert next_state(state, event) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("quantity", "price"),
    [("0", "1"), ("-1", "1"), ("1", "0"), ("1", "-1"), ("NaN", "1"), ("1", "Infinity"), ("11", "1")],
)
def test_an_execution_that_cannot_be_is_no_event(quantity: str, price: str) -> None:
    found = report("filled", quantity=quantity, price=price)
    assert event_of_report(found, Decimal(QUANTITY), Decimal(0)) is None
    manager, order, fills = _apply([found])
    assert (order.state, fills) == ("submitted", [])
    assert manager.working_count == 1


def test_the_ordinary_life() -> None:
    manager, order, fills = _apply(
        [
            report("accepted", report_id="R1", ts=2),
            report("filled", report_id="R2", quantity="4", price="100.5", ts=3, commission="1", reference="100"),
            report("filled", report_id="R3", quantity="6", price="101", ts=4, commission="0.5", reference="100.9"),
        ]
    )
    assert [(fill.state, fill.cumulative_quantity, fill.leaves_quantity) for fill in fills] == [
        ("partially_filled", Decimal(4), Decimal(6)),
        ("filled", Decimal(10), Decimal(0)),
    ]
    assert [fill.slippage for fill in fills] == [Decimal("0.5"), Decimal("0.1")]
    assert (order.state, order.commission, order.filled_notional) == ("filled", Decimal("1.5"), Decimal("1008.0"))
    assert (manager.working_count, order.ts_updated, order.venue_order_id) == (0, 4, "V1")


def test_a_sell_slips_the_other_way() -> None:
    outbox = Outbox()
    manager = OrderManager(OrderBookState(), outbox)
    request = OrderRequest("main", "s", "AAA.X", "sell", Decimal(1))
    manager.submit("o", request, currency="USD", multiplier=Decimal(1), reference_price=Decimal(100), ts=1)
    fill = manager.apply(report("filled", "o", quantity="1", price="99.9", reference="100"))
    assert fill is not None
    assert fill.slippage == Decimal("0.1")


def test_an_execution_that_crossed_a_cancel_still_counts() -> None:
    book, outbox = OrderBookState(), Outbox()
    manager = OrderManager(book, outbox)
    request = OrderRequest("main", "s", "AAA.X", "buy", Decimal(10))
    order = manager.submit("o", request, currency="USD", multiplier=Decimal(1), reference_price=Decimal(1), ts=1)
    manager.apply(report("cancelled", "o", "R1"))
    assert book.ended == {"cancelled": 1}
    manager.apply(report("filled", "o", "R2", quantity="4", price="1"))
    assert (order.state, order.filled_quantity) == ("cancelled", Decimal(4))
    manager.apply(report("filled", "o", "R3", quantity="6", price="1"))
    assert (order.state, order.filled_quantity) == ("filled", Decimal(10))
    assert book.ended == {"cancelled": 0, "filled": 1}
    assert book.closed == ["o"]


def test_a_refused_cancel_leaves_the_order_as_it_was() -> None:
    manager, order, _ = _manager()
    manager.apply(report("accepted", report_id="R1"))
    assert manager.request_cancel(order, "x", 5)
    assert not manager.request_cancel(order, "x", 5)
    manager.apply(report("cancel_rejected", report_id="R2"))
    assert order.state == "accepted"
    manager.apply(report("filled", report_id="R3", quantity="1", price="1"))
    assert manager.request_cancel(order, "x", 6)
    manager.apply(report("cancel_rejected", report_id="R4"))
    assert order.state == "partially_filled"


# -- every order of messages ----------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[ExecutionReported]:
    """What a venue may say of one order of ten units, in the order it happened."""
    said = [report("accepted", report_id="A")]
    left = QUANTITY
    for number, part in enumerate(draw(st.lists(st.integers(1, 4), max_size=5))):
        if part <= left:
            left -= part
            said.append(report("filled", report_id=f"F{number}", quantity=str(part), price=str(100 + number)))
    if left and (end := draw(st.sampled_from(["cancelled", "expired", "none"]))) != "none":
        said.append(report(end, report_id="E"))
    return said


@given(histories(), st.data())
def test_neither_order_nor_repetition_of_reports_changes_what_is_booked(
    said: list[ExecutionReported], data: st.DataObject
) -> None:
    heard = data.draw(st.permutations(said + data.draw(st.lists(st.sampled_from(said), max_size=4))))
    _, expected, fills = _apply(said)
    manager, order, shuffled = _apply(heard)
    assert order.filled_quantity == expected.filled_quantity == sum(fill.last_quantity for fill in shuffled)
    assert order.filled_notional == expected.filled_notional
    assert sorted(fill.fill_id for fill in shuffled) == sorted(fill.fill_id for fill in fills)
    # Only what is left open may differ: an acknowledgement that never comes last tells nothing new.
    assert (order.state in TERMINAL) == (expected.state in TERMINAL)
    if order.state in TERMINAL:
        assert order.state == expected.state
    assert manager.working_count == (order.state not in TERMINAL)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["accepted", "rejected", "filled", "cancelled", "expired", "cancel_rejected", "request"]),
            st.integers(0, 6),
            st.integers(-1, 7),
        ),
        max_size=12,
    )
)
def test_invariants_hold_whatever_a_venue_says(said: list[tuple[str, int, int]]) -> None:
    manager, order, outbox = _manager()
    for kind, number, quantity in said:
        before = order.state
        if kind == "request":
            manager.request_cancel(order, "test", 1)
        else:
            manager.apply(report(kind, report_id=f"R{number}", quantity=str(quantity), price="10"))
        assert order.state == before or (before, order.state) in _STEPS
        assert 0 <= order.filled_quantity <= order.quantity
        assert (order.state == "filled") == (order.leaves_quantity == 0)
        assert manager.working_count == (order.state not in TERMINAL)
    fills = [event for event in outbox.events if isinstance(event, OrderFilled)]
    assert sum((fill.last_quantity for fill in fills), Decimal(0)) == order.filled_quantity
    assert len({fill.fill_id for fill in fills}) == len(fills)
    assert all(fill.cumulative_quantity + fill.leaves_quantity == order.quantity for fill in fills)
    assert len(order.reports) == len(set(order.reports))


def test_forgotten_orders_cannot_be_booked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.strategy.order_manager.KEPT_CLOSED", 2)
    book, outbox = OrderBookState(), Outbox()
    manager = OrderManager(book, outbox)
    request = OrderRequest("main", "s", "AAA.X", "buy", Decimal(1))
    for number in range(4):
        key = f"o{number}"
        manager.submit(key, request, currency="USD", multiplier=Decimal(1), reference_price=Decimal(1), ts=1)
        manager.apply(report("filled", key, f"R{number}", quantity="1", price="1"))
    assert sorted(book.orders) == ["o2", "o3"]
    for number in range(4):
        assert manager.apply(report("filled", f"o{number}", f"R{number}", quantity="1", price="1")) is None
    assert book.refused_reports == {"unknown-order": 2, "duplicate": 2}
    assert book.fills == 4
