"""The order manager: the order book of record, kept by the table of :mod:`services.strategy.order_states`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from libs.contracts.fleet import PAPER_VENUE
from libs.contracts.orders import ExecutionReported, OrderCancelRequested, OrderFilled, OrderState, OrderUnknown
from libs.contracts.tape import extend_tape
from libs.engine.engine import Outbox
from libs.messagebus.topic import Event
from services.strategy.gate import OrderRequest
from services.strategy.order_events import change_event, fill_event, submitted_event
from services.strategy.order_states import TERMINAL, event_of_report, next_state
from services.strategy.state import OrderBookState, OrderRecord

#: Terminal orders kept for reading and for executions that are still on their way.
KEPT_CLOSED = 5_000


class OrderManager:
    """Places, cancels and follows orders.

    A report is applied once: its id is remembered as long as its order is kept, and a report about an order that
    is no longer kept (or never was) is refused, so forgetting old orders cannot book an execution twice.

    Args:
        book: The state it works on.
        outbox: Where ``orders.*`` events go.
    """

    def __init__(self, book: OrderBookState, outbox: Outbox) -> None:
        self._book = book
        self._outbox = outbox
        #: Orders that are not over, in the order they were placed: derived from the book.
        self._working = {key: order for key, order in book.orders.items() if order.state not in TERMINAL}

    # -- reading ----------------------------------------------------------------------------------

    def get(self, client_order_id: str) -> OrderRecord | None:
        """An order, as long as it is kept."""
        return self._book.orders.get(client_order_id)

    def all(self) -> list[OrderRecord]:
        """Every order kept, in the order they were placed."""
        return list(self._book.orders.values())

    def working(self) -> Iterator[OrderRecord]:
        """Orders that are not over, in the order they were placed."""
        return iter(self._working.values())

    @property
    def working_count(self) -> int:
        """How many orders are not over."""
        return len(self._working)

    # -- placing and cancelling -------------------------------------------------------------------

    def next_id(self) -> str:
        """A new client order id, a function of how many there were before: a replay gives the same."""
        self._book.sequence += 1
        return f"strategy-{self._book.sequence:08d}"

    def submit(
        self,
        client_order_id: str,
        request: OrderRequest,
        *,
        currency: str,
        multiplier: Decimal,
        reference_price: Decimal,
        ts: int,
        because: Iterable[str] = (),
    ) -> OrderRecord:
        """Record an order that passed the gate and publish it; the commit that records it is what sends it.

        ``because``: ids of the events it came from and was checked against.
        """
        order = OrderRecord(
            client_order_id=client_order_id,
            portfolio_id=request.portfolio_id,
            strategy_id=request.strategy_id,
            symbol=request.symbol,
            side=request.side,
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            quantity=request.quantity,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            reduce_only=request.reduce_only,
            venue=PAPER_VENUE,
            currency=currency,
            multiplier=multiplier,
            reference_price=reference_price,
            state="submitted",
            ts_submitted=ts,
            ts_updated=ts,
        )
        self._book.orders[client_order_id] = self._working[client_order_id] = order
        self._book.submitted += 1
        self.publish(submitted_event(order), because, order)
        return order

    def request_cancel(self, order: OrderRecord, reason: str, ts: int) -> bool:
        """Ask the venue to cancel; False where the order is over or a cancel is on its way already."""
        if next_state(order.state, "request_cancel") is None:
            return False
        order.state = "pending_cancel"
        order.ts_updated = ts
        request = OrderCancelRequested(ts, order.client_order_id, order.strategy_id, order.symbol, order.venue, reason)
        self.publish(request, (order.event_id,))
        return True

    def lose_unanswered(self, now: int, patience_ns: int) -> None:
        """Call an order the venue has not answered for ``patience_ns`` unknown; whatever it says later settles it.

        It is never sent again under another id: it may be working.
        """
        for order in self._working.values():
            waited = now - order.ts_submitted
            if order.state == "submitted" and waited > patience_ns:
                order.state = "unknown"
                order.ts_updated = now
                reason = f"no answer from {order.venue} for {waited / 1e9:g} s"
                key, strategy = order.client_order_id, order.strategy_id
                self.publish(OrderUnknown(now, key, strategy, order.symbol, reason), (order.event_id,))

    def unknown_of(self, symbol: str) -> OrderRecord | None:
        """An order of the symbol that nobody knows the fate of."""
        return next((one for one in self._working.values() if one.state == "unknown" and one.symbol == symbol), None)

    def publish(self, event: Event, because: Iterable[str] = (), named: OrderRecord | None = None) -> None:
        """Publish an event of the order book of record, and put it on the tape that two runs are compared by.

        ``because`` and ``named`` as in :meth:`Outbox.publish_because`; they are not on the tape.
        """
        self._book.tape = extend_tape(self._book.tape, event)
        self._book.tape_events += 1
        self._outbox.publish_because(event, because, named)

    # -- what the venue says ----------------------------------------------------------------------

    def apply(self, report: ExecutionReported) -> OrderFilled | None:
        """Apply a venue's report; returns the fill it booked, if it did.

        A duplicate, a report of an unknown order and one that is illegal in the order's state change nothing and
        are counted in ``refused_reports``.
        """
        order = self._book.orders.get(report.client_order_id)
        if order is None:
            self._refuse("unknown-order")
            return None
        if report.report_id in order.reports:
            self._refuse("duplicate")
            return None
        event = event_of_report(report, order.quantity, order.filled_quantity)
        if event is None:
            self._refuse("impossible-execution")
            return None
        after = next_state(order.state, event)
        if after is None:
            self._refuse(f"{report.report}-while-{order.state}")
            return None
        order.reports.append(report.report_id)
        before = order.state
        order.state = after
        order.ts_updated = report.ts_event
        order.venue_order_id = report.venue_order_id or order.venue_order_id
        fill = self._book_fill(order, report) if report.report == "filled" else None
        change = change_event(order, event, report) if fill is None else None
        if change is not None:
            self.publish(change, (order.event_id,))
        if before not in TERMINAL and after in TERMINAL:
            self._close(order)
        elif before in TERMINAL and after != before:  # an execution that crossed the cancel completed it after all
            self._book.ended[before] -= 1
            self._count_end(after)
        return fill

    def _refuse(self, why: str) -> None:
        refused = self._book.refused_reports
        refused[why] = refused.get(why, 0) + 1

    def _book_fill(self, order: OrderRecord, report: ExecutionReported) -> OrderFilled:
        order.filled_quantity += report.last_quantity
        order.filled_notional += report.last_quantity * report.last_price
        order.commission += report.commission
        fill = fill_event(order, report)
        weight = report.last_quantity * order.multiplier
        self._book.fills += 1
        self._book.slippage_notional += fill.slippage * weight
        self._book.reference_notional += report.reference_price * weight
        self.publish(fill, (order.event_id,))
        return fill

    def _count_end(self, state: OrderState) -> None:
        self._book.ended[state] = self._book.ended.get(state, 0) + 1

    def _close(self, order: OrderRecord) -> None:
        book = self._book
        del self._working[order.client_order_id]
        self._count_end(order.state)
        book.closed.append(order.client_order_id)
        if len(book.closed) > KEPT_CLOSED:
            del book.orders[book.closed.pop(0)]
