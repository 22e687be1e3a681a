"""The venue's book: accepting, executing and ending orders, one report each.

Working orders are kept in the order of acceptance, which is the order in which they share a bar's volume.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from libs.contracts.fleet import PAPER_VENUE
from libs.contracts.orders import ExecutionReported, OrderSubmitted, Side
from libs.engine.engine import Outbox
from services.strategy.instruments import TradingRules, is_multiple
from services.strategy.paper.costs import total_commission
from services.strategy.paper.state import LastPrice, PaperOrder, PaperState
from services.strategy.paper.terms import PaperTerms

#: Orders that are over and still recognised when they are sent again.
KEPT_DONE = 5_000

Ending = Literal["cancelled", "expired"]


class PaperBook:
    """Orders at the venue.

    Args:
        state: What it works on.
        terms: For the commission.
        outbox: Where reports go.
    """

    def __init__(self, state: PaperState, terms: PaperTerms, outbox: Outbox) -> None:
        self._state = state
        self._terms = terms
        self._outbox = outbox
        #: Working orders by symbol, in the order of acceptance: derived from the state.
        self._by_symbol: dict[str, list[PaperOrder]] = {}
        for order in state.working.values():
            self._by_symbol.setdefault(order.symbol, []).append(order)

    def of_symbol(self, symbol: str) -> list[PaperOrder]:
        """Working orders of a symbol, in the order of acceptance; a copy where there are any."""
        found = self._by_symbol.get(symbol)
        return list(found) if found else []

    def all(self) -> list[PaperOrder]:
        """Every working order, in the order of acceptance."""
        return list(self._state.working.values())

    # -- orders -----------------------------------------------------------------------------------

    def accept(self, event: OrderSubmitted, now: int) -> None:
        """Take an order, or reject it where this venue cannot work it."""
        state = self._state
        reason = _objection(event, state.rules.get(event.symbol))
        if reason:
            self._report(now, "rejected", event.client_order_id, "", event.symbol, event.side, reason=reason)
            self._remember(event.client_order_id, event.side)
            return
        state.orders += 1
        order = PaperOrder(
            event.client_order_id,
            f"{PAPER_VENUE}-O{state.orders:08d}",
            event.symbol,
            event.side,
            event.order_type,
            event.time_in_force,
            event.quantity,
            event.limit_price,
            event.stop_price,
            now,
            _is_resting(event, state.prices.get(event.symbol)),
            event_id=self._outbox.event_id,
        )
        state.working[order.client_order_id] = order
        self._by_symbol.setdefault(order.symbol, []).append(order)
        self._report_on(now, "accepted", order)

    def knows(self, client_order_id: str) -> bool:
        """Whether an order came here before."""
        return client_order_id in self._state.working or client_order_id in self._state.done

    def execute(
        self, order: PaperOrder, quantity: Decimal, price: Decimal, reference: Decimal, multiplier: Decimal, ts: int
    ) -> None:
        """Execute part or all of an order."""
        order.filled_quantity += quantity
        order.filled_notional += quantity * price * multiplier
        total = total_commission(order.filled_quantity, order.filled_notional, self._terms)
        commission, order.charged = total - order.charged, total
        self._state.fills += 1
        self._report_on(
            ts,
            "filled",
            order,
            last_quantity=quantity,
            last_price=price,
            commission=commission,
            reference_price=reference,
        )
        if not order.leaves_quantity:
            self._remove(order)

    def end(self, order: PaperOrder, how: Ending, reason: str, ts: int) -> None:
        """End an order that is not filled."""
        self._remove(order)
        self._report_on(ts, how, order, reason=reason)

    def refuse_cancel(self, client_order_id: str, symbol: str, ts: int) -> None:
        """Answer a cancel of an order that is not working here.

        A report must name a side and a cancel has none: of an order this venue never saw it says ``buy``, and nobody
        reads it, because the order manager goes by the order's id.
        """
        side = self._state.done.get(client_order_id, "buy")
        self._report(ts, "cancel_rejected", client_order_id, "", symbol, side, reason="the order is not working here")

    # -- bookkeeping ------------------------------------------------------------------------------

    def _remove(self, order: PaperOrder) -> None:
        del self._state.working[order.client_order_id]
        same = self._by_symbol[order.symbol]
        same.remove(order)
        if not same:
            del self._by_symbol[order.symbol]
        self._remember(order.client_order_id, order.side)

    def _remember(self, client_order_id: str, side: Side) -> None:
        done = self._state.done
        done[client_order_id] = side
        if len(done) > KEPT_DONE:
            del done[next(iter(done))]

    def _report_on(
        self,
        ts: int,
        kind: Literal["accepted", "filled", "cancelled", "expired"],
        order: PaperOrder,
        *,
        last_quantity: Decimal = Decimal(0),
        last_price: Decimal = Decimal(0),
        commission: Decimal = Decimal(0),
        reference_price: Decimal = Decimal(0),
        reason: str = "",
    ) -> None:
        self._report(
            ts,
            kind,
            order.client_order_id,
            order.venue_order_id,
            order.symbol,
            order.side,
            last_quantity=last_quantity,
            last_price=last_price,
            cumulative_quantity=order.filled_quantity,
            leaves_quantity=order.leaves_quantity if kind in ("accepted", "filled") else Decimal(0),
            commission=commission,
            reference_price=reference_price,
            reason=reason,
            order_event_id=order.event_id,
        )

    def _report(
        self,
        ts: int,
        kind: Literal["accepted", "rejected", "filled", "cancelled", "expired", "cancel_rejected"],
        client_order_id: str,
        venue_order_id: str,
        symbol: str,
        side: Side,
        *,
        last_quantity: Decimal = Decimal(0),
        last_price: Decimal = Decimal(0),
        cumulative_quantity: Decimal = Decimal(0),
        leaves_quantity: Decimal = Decimal(0),
        commission: Decimal = Decimal(0),
        reference_price: Decimal = Decimal(0),
        reason: str = "",
        order_event_id: str = "",
    ) -> None:
        self._state.reports += 1
        self._outbox.publish_because(
            ExecutionReported(
                ts,
                PAPER_VENUE,
                kind,
                f"{PAPER_VENUE}-R{self._state.reports:08d}",
                client_order_id,
                venue_order_id,
                symbol,
                side,
                last_quantity,
                last_price,
                cumulative_quantity,
                leaves_quantity,
                commission,
                reference_price,
                reason,
            ),
            (order_event_id,),
        )


def _objection(event: OrderSubmitted, rules: TradingRules | None) -> str:
    """Why this venue cannot work an order, or nothing; the gate should have denied all of these."""
    if rules is None:
        return f"instrument must be defined, was {event.symbol}"
    if not rules.is_tradable:
        return f"instrument must be tradable, was {event.symbol}"
    if not event.quantity.is_finite() or event.quantity <= 0 or not is_multiple(event.quantity, rules.lot_size):
        return f"quantity must be a positive multiple of {rules.lot_size}, was {event.quantity}"
    for name, price, is_needed in (
        ("limit_price", event.limit_price, event.order_type in ("limit", "stop_limit")),
        ("stop_price", event.stop_price, event.order_type in ("stop", "stop_limit")),
    ):
        if (price is not None) != is_needed:
            return f"{name} of a {event.order_type} order must be {'given' if is_needed else 'absent'}, was {price}"
        if price is not None and (not price.is_finite() or price <= 0 or not is_multiple(price, rules.tick_size)):
            return f"{name} must be a positive multiple of {rules.tick_size}, was {price}"
    return ""


def _is_resting(event: OrderSubmitted, last: LastPrice | None) -> bool:
    """Whether a limit is away from the market when it comes."""
    if event.order_type != "limit" or event.limit_price is None:
        return False
    market = Decimal(repr(last.price)) if last is not None else event.reference_price
    return event.limit_price < market if event.side == "buy" else event.limit_price > market
