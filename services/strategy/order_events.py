"""The events of the order book of record, built from its orders."""

from __future__ import annotations

from decimal import Decimal

from libs.contracts.orders import (
    ExecutionReported,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from services.strategy.order_states import TERMINAL, OrderEvent
from services.strategy.state import OrderRecord

OrderChange = OrderAccepted | OrderRejected | OrderCancelled | OrderExpired


def submitted_event(order: OrderRecord) -> OrderSubmitted:
    """The order as it goes to its venue."""
    return OrderSubmitted(
        order.ts_submitted,
        order.client_order_id,
        order.portfolio_id,
        order.strategy_id,
        order.symbol,
        order.side,
        order.order_type,
        order.time_in_force,
        order.quantity,
        order.limit_price,
        order.stop_price,
        order.reduce_only,
        order.venue,
        order.reference_price,
        order.currency,
    )


def fill_event(order: OrderRecord, report: ExecutionReported) -> OrderFilled:
    """An execution just booked on ``order``; without a reference price there is no slippage to tell, and it is 0."""
    slippage = report.last_price - report.reference_price if report.reference_price else Decimal(0)
    return OrderFilled(
        report.ts_event,
        order.client_order_id,
        order.venue_order_id,
        report.report_id,
        order.portfolio_id,
        order.strategy_id,
        order.symbol,
        order.side,
        report.last_quantity,
        report.last_price,
        order.filled_quantity,
        order.leaves_quantity,
        report.commission,
        slippage if order.side == "buy" else -slippage,
        order.currency,
        order.state,
    )


def change_event(order: OrderRecord, event: OrderEvent, report: ExecutionReported) -> OrderChange | None:
    """What a report other than a fill changed, with its reason noted on the order; None where nobody needs to know."""
    ts, key, strategy, symbol = report.ts_event, order.client_order_id, order.strategy_id, order.symbol
    if event == "accept":
        # After the end an acknowledgement was merely overtaken.
        return None if order.state in TERMINAL else OrderAccepted(ts, key, order.venue_order_id, strategy, symbol)
    if event in ("keep", "keep_partly_filled"):
        return None
    order.reason = report.reason
    if event == "reject":
        return OrderRejected(ts, key, strategy, symbol, report.reason)
    if event == "cancel":
        return OrderCancelled(ts, key, strategy, symbol, order.filled_quantity, report.reason)
    return OrderExpired(ts, key, strategy, symbol, order.filled_quantity, report.reason)
