"""Booking: what a fill and a cash flow do to cash, cost, realised profit and fees. Average cost method.

Two identities hold exactly after every booking (``tests/services/portfolio/test_ledger_identities.py``)::

    cash + sum(market value) = equity
    net flows + income + realised + unrealised - fees = equity

A partial close releases a share of the cost, which may not be a decimal number: it is rounded to ten decimals, and
what the rounding leaves stays in the cost of the open quantity, to be realised later. No money is created or lost.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from libs.contracts.orders import OrderFilled
from libs.contracts.portfolio import PositionUpdated
from services.portfolio.amounts import EXACT, ZERO, checked_amount, ratio, share
from services.portfolio.state import Portfolio, Position


def check_fill(fill: OrderFilled) -> None:
    """Check that a fill can be booked exactly.

    Raises:
        ValueError: If a number of it is out of range, or it has no id.
    """
    if not fill.fill_id:
        raise ValueError(
            f"fill of order '{fill.client_order_id}' must have a fill_id, was empty; the venue must give one"
        )
    if checked_amount("last_quantity", fill.last_quantity) <= 0:
        raise ValueError(f"last_quantity of fill '{fill.fill_id}' must be positive, was {fill.last_quantity}")
    checked_amount("last_price", fill.last_price)
    checked_amount("commission", fill.commission)


def book_fill(portfolio: Portfolio, position: Position, fill: OrderFilled) -> None:
    """Book a checked fill into its position and the cash of its portfolio."""
    with localcontext(EXACT):
        quantity = fill.last_quantity if fill.side == "buy" else -fill.last_quantity
        value = quantity * fill.last_price * position.multiplier
        held, cost, realized = position.quantity, position.cost_basis, position.realized_pnl
        if held == 0 or (held > 0) == (quantity > 0):
            cost += value
        elif abs(quantity) < abs(held):
            released = share(cost, -quantity, held)
            realized -= value + released
            cost -= released
        else:
            closing = -held * fill.last_price * position.multiplier
            realized -= closing + cost
            cost = value - closing
        open_quantity = held + quantity
        cash = portfolio.cash - value - fill.commission
        fees = position.fees + fill.commission
        average = ratio(cost, open_quantity * position.multiplier) if open_quantity else ZERO
    position.quantity, position.cost_basis, position.average_price = open_quantity, cost, average
    position.realized_pnl, position.fees = realized, fees
    position.last_fill_price, position.last_fill_ts = fill.last_price, fill.ts_event
    portfolio.cash = cash


def position_after(fill: OrderFilled, position: Position) -> PositionUpdated:
    """What a booked fill made of its position, valued at the fill's own price."""
    with localcontext(EXACT):
        unrealized = position.quantity * fill.last_price * position.multiplier - position.cost_basis
    return PositionUpdated(
        fill.ts_event,
        fill.portfolio_id,
        fill.symbol,
        position.quantity,
        position.average_price,
        position.realized_pnl,
        position.fees,
        fill.last_price,
        unrealized,
        fill.strategy_id,
        fill.fill_id,
    )


def book_cash_flow(portfolio: Portfolio, kind: str, amount: Decimal) -> None:
    """Book money that came (positive ``amount``) or went other than by a fill.

    Args:
        kind: deposit and withdrawal are flows; dividend and interest are income; a fee is a charge.
    """
    with localcontext(EXACT):
        portfolio.cash += amount
        if kind in {"deposit", "withdrawal"}:
            portfolio.net_flows += amount
        elif kind == "fee":
            portfolio.charges -= amount
        else:
            portfolio.income += amount
