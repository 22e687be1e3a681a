"""The ledger as HTTP shows it: money as decimal strings, null with a reason where there is no value yet."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import localcontext
from typing import Any

from services.portfolio.amounts import EXACT, text
from services.portfolio.engine import PortfolioEngine
from services.portfolio.state import EquityPoint, Portfolio, Position
from services.portfolio.valuation import mark_position

#: Fields of a valuation that are money.
_MONEY = (
    "equity", "gross", "net", "realized_pnl", "unrealized_pnl", "fees", "pnl_day", "peak_equity",
)  # fmt: skip
_NOT_VALUED = "not valued yet: no step has closed since the portfolio was opened"

#: What the portfolio surface of the fleet comprises, and what of it this engine does not do.
_NOT_AVAILABLE = {
    "optimization": "no optimiser is part of this version; weights are set by strategies",
    "rebalancing": "no rebalancer is part of this version; orders come from strategies",
    "backtest": "a backtest is a replay of the whole fleet; portfolio runs none of its own",
    "family-office": "clients, trusts and goals are not part of this version",
}


def portfolio_view(engine: PortfolioEngine, portfolio: Portfolio) -> dict[str, Any]:
    """A portfolio with its last valuation."""
    taken = portfolio.snapshot
    view: dict[str, Any] = {
        "portfolio_id": portfolio.portfolio_id,
        "portfolio_name": portfolio.name,
        "base_currency": portfolio.base_currency,
        "created_ts": portfolio.created_ts,
        "cash_balance": text(portfolio.cash),
        "net_flows": text(portfolio.net_flows),
        "income": text(portfolio.income),
        "open_positions": sum(1 for position in portfolio.positions.values() if position.quantity),
        "source": "portfolio",
    }
    for field in _MONEY:
        view[field] = None if taken is None else text(getattr(taken, field))
    view["ts_event"] = None if taken is None else taken.ts_event
    view["as_of"] = None if taken is None else _moment(taken.ts_event)
    view["age_seconds"] = None if taken is None else _age(engine, taken.ts_event)
    view["is_synthetic"] = None if taken is None else taken.is_synthetic
    view["reasons"] = dict.fromkeys((*_MONEY, "is_synthetic"), _NOT_VALUED) if taken is None else {}
    return view


def position_view(engine: PortfolioEngine, position: Position) -> dict[str, Any]:
    """A position at the newest price there is, with the age of that price."""
    with localcontext(EXACT):
        marked = mark_position(position, engine.state.marks.get(position.symbol))
    return {
        "symbol": position.symbol,
        "quantity": text(position.quantity),
        "average_price": text(position.average_price),
        "mark_price": text(marked.mark_price),
        "mark_ts": marked.mark_ts,
        "market_value": text(marked.market_value),
        "unrealized_pnl": text(marked.unrealized_pnl),
        "realized_pnl": text(position.realized_pnl),
        "fees": text(position.fees),
        "multiplier": text(position.multiplier),
        "source": "portfolio",
        "as_of": _moment(marked.mark_ts),
        "age_seconds": _age(engine, marked.mark_ts),
        "is_synthetic": position.is_synthetic,
    }


def point_view(point: EquityPoint) -> dict[str, Any]:
    """A day of the equity curve."""
    return {
        "ts_event": point.ts_event,
        "equity": text(point.equity),
        "cash": text(point.cash),
        "pnl_day": text(point.pnl_day),
        "net_flows": text(point.net_flows),
    }


def capabilities_view(version: str) -> list[dict[str, Any]]:
    """What works and what does not, with the reason."""
    available = [
        {"name": name, "available": True, "reason": None, "version": version}
        for name in ("ledger", "positions", "valuation", "history", "cash-flows")
    ]
    return available + [
        {"name": name, "available": False, "reason": reason, "version": None} for name, reason in _NOT_AVAILABLE.items()
    ]


def _moment(ts_event: int) -> str:
    return datetime.fromtimestamp(ts_event / 1e9, UTC).isoformat().replace("+00:00", "Z")


def _age(engine: PortfolioEngine, ts_event: int) -> float:
    return max(0, engine.now_ns - ts_event) / 1e9
