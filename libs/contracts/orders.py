"""Signals, orders, execution reports: the full life of an order.

``orders.*`` is the order book of record, published by strategy only. ``venue.report`` is what a
venue says about an order; it becomes an ``orders.*`` event when the order manager has accepted it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from libs.messagebus.topic import Event

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit"]
TimeInForce = Literal["day", "gtc", "ioc", "fok"]
OrderState = Literal[
    "initialized",
    "denied",
    "submitted",
    "accepted",
    "partially_filled",
    "filled",
    "pending_cancel",
    "cancelled",
    "rejected",
    "expired",
    "unknown",
]


class SignalGenerated(Event, frozen=True, tag="strategy.signal.v1"):
    """What a strategy wants; ``strength`` is the target weight or conviction it used."""

    strategy_id: str
    symbol: str
    side: Literal["buy", "sell", "flat"]
    strength: float
    reason: str


class StrategyStateChanged(Event, frozen=True, tag="strategy.state.v1"):
    """A strategy started, stopped, paused or failed; ``actor`` and ``reason`` say who and why."""

    strategy_id: str
    library_id: str
    state: Literal["running", "paused", "stopped", "failed"]
    actor: str
    reason: str


class StrategyLogged(Event, frozen=True, tag="strategy.log.v1"):
    """A line a strategy wrote with ``log``."""

    strategy_id: str
    level: Literal["debug", "info", "warning", "error"]
    message: str


class OrderSubmitted(Event, frozen=True, tag="orders.submitted.v1"):
    """An order passed the gate and goes to the venue; committed before it is sent.

    Attributes:
        client_order_id: Derived from (engine, sequence), so that a resend is recognised.
        quantity: Positive, in units of the instrument.
        limit_price, stop_price: Where the type has one.
        reference_price: The price the gate checked against.
    """

    client_order_id: str
    portfolio_id: str
    strategy_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    reduce_only: bool
    venue: str
    reference_price: Decimal
    currency: str = "USD"


class OrderDenied(Event, frozen=True, tag="orders.denied.v1"):
    """The gate refused an order: which check, its limit, the value, and what to do."""

    client_order_id: str
    portfolio_id: str
    strategy_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    check: str
    limit: str
    value: str
    remedy: str


class OrderAccepted(Event, frozen=True, tag="orders.accepted.v1"):
    """The venue works the order."""

    client_order_id: str
    venue_order_id: str
    strategy_id: str
    symbol: str


class OrderRejected(Event, frozen=True, tag="orders.rejected.v1"):
    """The venue refused the order."""

    client_order_id: str
    strategy_id: str
    symbol: str
    reason: str


class OrderCancelRequested(Event, frozen=True, tag="orders.cancel_requested.v1"):
    """A cancel goes to the venue; committed before it is sent."""

    client_order_id: str
    strategy_id: str
    symbol: str
    venue: str
    reason: str


class OrderCancelled(Event, frozen=True, tag="orders.cancelled.v1"):
    """The order is gone; ``filled_quantity`` is what was executed before."""

    client_order_id: str
    strategy_id: str
    symbol: str
    filled_quantity: Decimal
    reason: str


class OrderExpired(Event, frozen=True, tag="orders.expired.v1"):
    """The order's time in force ended."""

    client_order_id: str
    strategy_id: str
    symbol: str
    filled_quantity: Decimal
    reason: str


class OrderUnknown(Event, frozen=True, tag="orders.unknown.v1"):
    """Nobody knows what the venue did; the symbol is halted until a query tells."""

    client_order_id: str
    strategy_id: str
    symbol: str
    reason: str


class OrderFilled(Event, frozen=True, tag="orders.filled.v1"):
    """One execution.

    Attributes:
        fill_id: The venue's execution id; the same id twice is the same fill.
        last_quantity, last_price: This execution.
        leaves_quantity: Still open after it.
        commission: In ``currency``, positive = paid.
        slippage: ``last_price`` less the venue's reference price, times -1 for a sell; positive = worse.
    """

    client_order_id: str
    venue_order_id: str
    fill_id: str
    portfolio_id: str
    strategy_id: str
    symbol: str
    side: Side
    last_quantity: Decimal
    last_price: Decimal
    cumulative_quantity: Decimal
    leaves_quantity: Decimal
    commission: Decimal
    slippage: Decimal
    currency: str
    state: OrderState


class ExecutionReported(Event, frozen=True, tag="venue.report.v1"):
    """What a venue says about an order (execution report).

    Attributes:
        report: accepted, rejected, filled, cancelled, expired, or cancel_rejected.
        report_id: Unique per venue; the order manager drops a second one with the same id.
        reference_price: Price before slippage, for fills.
    """

    venue: str
    report: Literal["accepted", "rejected", "filled", "cancelled", "expired", "cancel_rejected"]
    report_id: str
    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    last_quantity: Decimal = Decimal(0)
    last_price: Decimal = Decimal(0)
    cumulative_quantity: Decimal = Decimal(0)
    leaves_quantity: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    reference_price: Decimal = Decimal(0)
    reason: str = ""


class PlaceOrder(Event, frozen=True, tag="strategy.place_order.v1"):
    """Command: place an order by hand; it passes the same gate as a strategy's.

    Attributes:
        idempotency_key: The same key twice is the same order.
    """

    idempotency_key: str
    portfolio_id: str
    strategy_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    reduce_only: bool
    actor: str


class CancelOrder(Event, frozen=True, tag="strategy.cancel_order.v1"):
    """Command: cancel one order."""

    client_order_id: str
    actor: str
    reason: str


class CancelAllOrders(Event, frozen=True, tag="strategy.cancel_all_orders.v1"):
    """Command: cancel every working order, or those of one strategy or symbol (empty = all)."""

    strategy_id: str
    symbol: str
    actor: str
    reason: str


class SetStrategyState(Event, frozen=True, tag="strategy.set_state.v1"):
    """Command: start, pause or stop a strategy."""

    strategy_id: str
    state: Literal["running", "paused", "stopped"]
    actor: str
    reason: str
