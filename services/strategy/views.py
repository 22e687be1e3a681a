"""Strategies, orders and positions as HTTP shows them: decimals as strings, null with a reason where unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from libs.contracts.orders import OrderDenied
from libs.engine.plain import iso, plain
from services.strategy.engine import StrategyEngine
from services.strategy.library import LIBRARY, read_parameters
from services.strategy.positions import PositionKey
from services.strategy.state import OrderRecord, Position, StrategySlot

_NO_PRICE = "no price of the symbol yet"


def library_view() -> list[dict[str, Any]]:
    """What can be configured, each with the JSON schema of its parameters."""
    return [
        {
            "library_id": library_id,
            "title": kind.title,
            "reference": kind.reference,
            "parameters": msgspec.json.schema(kind.parameters_type),
            "defaults": msgspec.to_builtins(kind.parameters_type()),
        }
        for library_id, kind in sorted(LIBRARY.items())
    ]


def strategy_view(engine: StrategyEngine, slot: StrategySlot) -> dict[str, Any]:
    """One strategy with its parameters in force and what its fills came to."""
    own = [position for (_, strategy, _), position in engine.positions.items().items() if strategy == slot.strategy_id]
    return {
        "strategy_id": slot.strategy_id,
        "library_id": slot.library_id,
        "portfolio_id": slot.portfolio_id,
        "state": slot.state,
        "actor": slot.actor,
        "reason": slot.reason,
        "ts_changed": slot.ts_changed,
        "parameters": msgspec.to_builtins(read_parameters(slot.library_id, slot.parameters)),
        "open_positions": sum(1 for position in own if position.quantity),
        "working_orders": sum(1 for order in engine.orders.working() if order.strategy_id == slot.strategy_id),
        "orders_withheld": slot.orders_withheld,
        "realized_pnl": plain(sum((position.realized_pnl for position in own), Decimal(0))),
        "commission": plain(sum((position.commission for position in own), Decimal(0))),
    }


def order_view(order: OrderRecord) -> dict[str, Any]:
    """One order of the book of record."""
    view: dict[str, Any] = plain(order)
    del view["reports"], view["filled_notional"]
    filled = order.filled_quantity
    view["leaves_quantity"] = plain(order.leaves_quantity)
    view["average_price"] = plain((order.filled_notional / filled).quantize(Decimal("1E-10"))) if filled else None
    view["reports_applied"] = len(order.reports)
    view["submitted_at"], view["updated_at"] = iso(order.ts_submitted), iso(order.ts_updated)
    view["reasons"] = {} if filled else {"average_price": "nothing is filled"}
    return view


def denied_view(denied: OrderDenied) -> dict[str, Any]:
    """An order the gate refused: it never existed for the venue, so there is little to show but why."""
    view: dict[str, Any] = plain(denied)
    view["ts_submitted"] = view.pop("ts_event")
    return {**view, "state": "denied", "submitted_at": iso(denied.ts_event)}


def position_view(engine: StrategyEngine, key: PositionKey, position: Position) -> dict[str, Any]:
    """What a strategy holds of a symbol, by its own fills, at the last price."""
    portfolio_id, strategy_id, symbol = key
    mark, rules = engine.state.marks.get(symbol), engine.state.rules.get(symbol)
    view: dict[str, Any] = {
        "portfolio_id": portfolio_id,
        "strategy_id": strategy_id,
        "symbol": symbol,
        "currency": position.currency,
        "quantity": plain(position.quantity),
        "cost": plain(position.cost),
        "realized_pnl": plain(position.realized_pnl),
        "commission": plain(position.commission),
        "bought": plain(position.bought),
        "sold": plain(position.sold),
        "market_value": None,
        "unrealized_pnl": None,
        "mark": None,
        "source": "fills",
        "reasons": {},
    }
    if mark is None or rules is None:
        view["reasons"] = dict.fromkeys(("market_value", "unrealized_pnl", "mark"), _NO_PRICE)
        return view
    value = position.quantity * Decimal(repr(mark.price)) * rules.multiplier
    view["market_value"], view["unrealized_pnl"] = plain(value), plain(value - position.cost)
    view["mark"] = {
        "price": mark.price,
        "source": mark.source,
        "as_of": iso(mark.ts_event),
        "age_seconds": (engine.now_ns - mark.ts_event) / 1e9,
        "is_synthetic": mark.is_synthetic,
    }
    return view
