"""What must hold of orders: none lost, none doubled, each execution booked once, limits kept, a halt obeyed.

A second, plain account of the order book, kept from nothing but what was published. It knows nothing of how the
strategy engine works, which is why it can disagree with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from libs.contracts.market import InstrumentDefined
from libs.contracts.orders import (
    ExecutionReported,
    OrderCancelled,
    OrderCancelRequested,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import HaltChanged
from services.strategy.gate import GateLimits

_ZERO: Final = Decimal(0)
Ended = (OrderCancelled, OrderExpired, OrderRejected)


class OrderAccount:
    """Orders and executions as the streams tell them.

    Args:
        limits: Of the gate.
        patience_ns: An order not answered for longer stops its symbol.
    """

    def __init__(self, limits: GateLimits, patience_ns: int) -> None:
        self._limits = limits
        self._patience_ns = patience_ns
        self.orders: dict[str, OrderSubmitted] = {}
        self.ended: set[str] = set()
        self.cancelling: set[str] = set()
        self.filled: dict[str, Decimal] = {}
        self.reports: dict[str, ExecutionReported] = {}
        self.answered: set[str] = set()
        self.fills: dict[str, OrderFilled] = {}
        self.held: dict[tuple[str, str, str], Decimal] = {}
        self._multipliers: dict[str, Decimal] = {}

    # -- events -----------------------------------------------------------------------------------

    def see(self, event: Any, equities: dict[str, Decimal], halts: dict[tuple[str, str], HaltChanged]) -> Iterator[str]:
        """What is wrong with ``event``.

        Args:
            equities: By portfolio, the most equity strategy may have known of.
            halts: In force as strategy certainly knows.
        """
        match event:
            case InstrumentDefined():
                self._multipliers[event.symbol] = Decimal(event.multiplier)
            case OrderSubmitted():
                yield from self._submitted(event, equities, halts)
            case ExecutionReported():
                yield from self._reported(event)
            case OrderFilled():
                yield from self._filled(event)
            case OrderCancelRequested():
                self.cancelling.add(event.client_order_id)
            case OrderCancelled() | OrderExpired() | OrderRejected():
                if event.client_order_id in self.ended:
                    yield f"order {event.client_order_id} ended twice"
                self.ended.add(event.client_order_id)

    def _submitted(
        self, order: OrderSubmitted, equities: dict[str, Decimal], halts: dict[tuple[str, str], HaltChanged]
    ) -> Iterator[str]:
        key = order.client_order_id
        if key in self.orders:
            yield f"order {key} was submitted twice"
            return
        if self.orders and key <= next(reversed(self.orders)):
            yield f"order {key} was submitted after {next(reversed(self.orders))}, its id must be greater"
        for halt in halts.values():
            if is_covered(halt, order) and not halt.allow_reducing:
                yield f"order {key} was sent after the halt of {halt.scope} '{halt.target}' ({halt.reason})"
        yield from self._limits_of(order, equities.get(order.portfolio_id))
        for other in self.working():
            waited = order.ts_event - other.ts_event
            is_lost = other.client_order_id not in self.answered and waited > self._patience_ns
            if is_lost and other.symbol == order.symbol:
                yield f"order {key} was sent while nobody knows what became of {other.client_order_id} in its symbol"
        self.orders[key] = order

    def _limits_of(self, order: OrderSubmitted, equity: Decimal | None) -> Iterator[str]:
        limits, key = self._limits, order.client_order_id
        price = unit_price(order) * self._multipliers.get(order.symbol, Decimal(1))
        if order.quantity > limits.max_quantity:
            yield f"order {key} is for {order.quantity} units, at most {limits.max_quantity} are allowed"
        most = max(limits.max_notional, limits.max_notional_fraction * (equity or _ZERO))
        if order.quantity * price > most:
            yield f"order {key} is for {order.quantity * price}, at most {most} is allowed"
        working = [one for one in self.working() if one.symbol == order.symbol and one.side == order.side]
        own = order.portfolio_id, order.strategy_id, order.symbol
        if order.side == "sell" and not limits.allow_short:
            open_sells = sum((self.leaves(one) for one in working if one.strategy_id == order.strategy_id), _ZERO)
            if order.quantity > self.held.get(own, _ZERO) - open_sells:
                yield f"order {key} sells {order.quantity}, only {self.held.get(own, _ZERO) - open_sells} are held"
        if order.side == "buy":
            portfolio = order.portfolio_id
            held = sum((q for (p, _, s), q in self.held.items() if (p, s) == (portfolio, order.symbol)), _ZERO)
            after = held + order.quantity + sum((self.leaves(o) for o in working if o.portfolio_id == portfolio), _ZERO)
            most = max(limits.max_position_notional, limits.max_position_fraction * (equity or _ZERO))
            if after > 0 and after * price > most:
                yield f"order {key} may lead to a position of {after * price}, at most {most} is allowed"

    def _reported(self, report: ExecutionReported) -> Iterator[str]:
        self.answered.add(report.client_order_id)
        before = self.reports.setdefault(report.report_id, report)
        if before != report:
            yield f"report {report.report_id} of the venue was given out twice with different content"
        if report.client_order_id not in self.orders:
            yield f"the venue reported {report.report} of order {report.client_order_id}, which was never submitted"

    def _filled(self, fill: OrderFilled) -> Iterator[str]:
        key = fill.client_order_id
        if fill.fill_id in self.fills:
            yield f"fill {fill.fill_id} of order {key} was booked twice"
            return
        report = self.reports.get(fill.fill_id)
        if report is None or report.report != "filled" or report.client_order_id != key:
            yield f"fill {fill.fill_id} of order {key} was booked, the venue reported no such execution"
            return
        if (report.last_quantity, report.last_price, report.commission) != (
            fill.last_quantity, fill.last_price, fill.commission,
        ):  # fmt: skip
            yield f"fill {fill.fill_id} was booked with other numbers than the venue reported"
        self.fills[fill.fill_id] = fill
        self.filled[key] = self.filled.get(key, _ZERO) + fill.last_quantity
        order = self.orders.get(key)
        if order is None or self.filled[key] > order.quantity:
            yield f"order {key} is filled with {self.filled[key]}, more than it was for"
        own = fill.portfolio_id, fill.strategy_id, fill.symbol
        signed = fill.last_quantity if fill.side == "buy" else -fill.last_quantity
        self.held[own] = self.held.get(own, _ZERO) + signed
        if self.held[own] < 0 and not self._limits.allow_short:
            yield f"fill {fill.fill_id} makes the position of {fill.strategy_id} in {fill.symbol} {self.held[own]}"

    # -- reading ----------------------------------------------------------------------------------

    def leaves(self, order: OrderSubmitted) -> Decimal:
        """What is still open of an order."""
        return order.quantity - self.filled.get(order.client_order_id, _ZERO)

    def working(self) -> Iterator[OrderSubmitted]:
        """Orders that are not over."""
        for key, order in self.orders.items():
            if key not in self.ended and self.leaves(order) > 0:
                yield order

    def when_halted(self, halt: HaltChanged) -> Iterator[str]:
        """What is wrong once strategy has handled ``halt``."""
        for order in self.working():
            key = order.client_order_id
            if halt.cancel_orders and key not in self.cancelling and is_covered(halt, order):
                yield f"order {key} works on after the halt of {halt.scope} '{halt.target}', no cancel was requested"

    def when_quiet(self) -> Iterator[str]:
        """What is wrong if nothing is on its way any more; the venue must keep nothing back."""
        for key in self.orders:
            if key not in self.answered:
                yield f"order {key} was submitted and never reached the venue"
        for report in self.reports.values():
            if report.report == "filled" and report.report_id not in self.fills:
                yield f"execution {report.report_id} of order {report.client_order_id} was never booked"


class Equities:
    """The greatest equity by portfolio that strategy may know of when it decides.

    A valuation binds once strategy has committed past it; until then the one before may still be in force.
    """

    def __init__(self) -> None:
        self._told: dict[str, list[tuple[int, Decimal]]] = {}

    def see(self, number: int, snapshot: PortfolioSnapshotTaken) -> None:
        """A valuation was published as entry ``number`` of its stream."""
        self._told.setdefault(snapshot.portfolio_id, []).append((number, snapshot.equity))

    def known(self, before: int, after: int) -> dict[str, Decimal]:
        """For a reader that goes from entry ``before`` to ``after``."""
        found: dict[str, Decimal] = {}
        for portfolio, told in self._told.items():
            base = [one for one in told if one[0] <= before][-1:]
            told[:] = [*base, *(one for one in told if one[0] > before)]
            candidates = [equity for number, equity in told if number <= after]
            if candidates:
                found[portfolio] = max(candidates)
        return found


def unit_price(order: OrderSubmitted) -> Decimal:
    """The most a unit of an order may trade at."""
    if order.side == "buy" and order.limit_price is not None:
        return order.limit_price
    return max(order.limit_price or _ZERO, order.stop_price or _ZERO, order.reference_price)


def is_covered(halt: HaltChanged, order: OrderSubmitted) -> bool:
    """Whether an order lies in the scope of a halt."""
    target = {
        "all": "", "portfolio": order.portfolio_id, "strategy": order.strategy_id, "symbol": order.symbol,
    }[halt.scope]  # fmt: skip
    return halt.target == target
