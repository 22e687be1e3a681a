"""HTTP surface of the portfolio engine: reads from its state, writes as commands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, status

from libs.contracts.portfolio import CreatePortfolio, RecordCashFlow
from libs.engine.auth import actor_of
from libs.engine.commands import Commands, Reply
from libs.engine.problems import Problem
from libs.version import CODE_VERSION
from services.portfolio.engine import PortfolioEngine
from services.portfolio.requests import NewCashFlow, NewPortfolio
from services.portfolio.state import Portfolio
from services.portfolio.views import capabilities_view, point_view, portfolio_view, position_view

Limit = Annotated[int, Query(ge=1, le=1000)]
SeriesLimit = Annotated[int, Query(ge=1, le=50_000)]


def router(engine: PortfolioEngine, commands: Commands) -> APIRouter:
    """Routes of portfolios, positions, equity curves and cash flows."""
    routes = APIRouter(tags=["portfolio"])
    _add_reads(routes, engine)
    _add_writes(routes, engine, commands)
    return routes


def _add_reads(routes: APIRouter, engine: PortfolioEngine) -> None:
    @routes.get("/capabilities")
    async def capabilities() -> dict[str, Any]:
        """What works here, and what does not and why."""
        return _page(capabilities_view(CODE_VERSION), None)

    @routes.get("/portfolios")
    async def portfolios(limit: Limit = 100, cursor: str = "") -> dict[str, Any]:
        """Portfolios by id; ``cursor`` is the id after which to go on."""
        known = engine.state.portfolios
        ids = sorted(portfolio_id for portfolio_id in known if portfolio_id > cursor)
        items = [portfolio_view(engine, known[portfolio_id]) for portfolio_id in ids[:limit]]
        return _page(items, ids[limit - 1] if len(ids) > limit else None)

    @routes.get("/portfolios/{portfolio_id}")
    async def portfolio(portfolio_id: str) -> dict[str, Any]:
        """A portfolio at its last valuation."""
        return portfolio_view(engine, _find(engine, portfolio_id))

    @routes.get("/portfolios/{portfolio_id}/positions")
    async def positions(
        portfolio_id: str, include_flat: bool = False, limit: Limit = 1000, cursor: str = ""
    ) -> dict[str, Any]:
        """Positions by symbol, valued at the newest prices; with ``include_flat`` also those closed."""
        held = _find(engine, portfolio_id).positions
        symbols = sorted(symbol for symbol, one in held.items() if symbol > cursor and (include_flat or one.quantity))
        items = [position_view(engine, held[symbol]) for symbol in symbols[:limit]]
        return _page(items, symbols[limit - 1] if len(symbols) > limit else None)

    @routes.get("/portfolios/{portfolio_id}/history")
    async def history(portfolio_id: str, limit: SeriesLimit = 100, cursor: int | None = None) -> dict[str, Any]:
        """The newest ``limit`` days of the equity curve, oldest first; ``cursor`` goes on to older ones."""
        points = _find(engine, portfolio_id).history
        older = points if cursor is None else [point for point in points if point.ts_event < cursor]
        items = [point_view(point) for point in older[-limit:]]
        return _page(items, items[0]["ts_event"] if len(older) > limit else None)


def _add_writes(routes: APIRouter, engine: PortfolioEngine, commands: Commands) -> None:
    @routes.post("/portfolios", status_code=status.HTTP_201_CREATED)
    async def create(request: Request, new: NewPortfolio) -> dict[str, Any]:
        """Open a portfolio with cash; 409 when its id or name is in use."""
        portfolio_id = new.portfolio_id or _id_of(new.portfolio_name)
        command = CreatePortfolio(
            engine.now_ns, portfolio_id, new.portfolio_name, new.base_currency, new.cash_balance, actor_of(request)
        )
        return _written(await commands.send(command))

    @routes.post("/portfolios/{portfolio_id}/cash-flows", status_code=status.HTTP_201_CREATED)
    async def record_cash_flow(request: Request, portfolio_id: str, flow: NewCashFlow) -> dict[str, Any]:
        """Record a deposit, withdrawal, dividend, interest or fee."""
        currency = flow.currency or _find(engine, portfolio_id).base_currency
        command = RecordCashFlow(
            engine.now_ns, portfolio_id, flow.amount, currency, flow.kind, flow.reference, actor_of(request)
        )
        return _written(await commands.send(command))


def _find(engine: PortfolioEngine, portfolio_id: str) -> Portfolio:
    found = engine.state.portfolios.get(portfolio_id)
    if found is None:
        raise Problem(
            404,
            "unknown-portfolio",
            f"portfolio must exist, was '{portfolio_id}'",
            "see GET /portfolios for those that do",
        )
    return found


def _id_of(name: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64]
    if not found:
        raise Problem(
            422,
            "invalid-request",
            f"portfolio_name must hold a letter or digit, was '{name}'",
            "or give a portfolio_id",
        )
    return found


def _page(items: Sequence[Any], next_cursor: Any) -> dict[str, Any]:
    return {"items": items, "count": len(items), "next_cursor": next_cursor}


def _written(reply: Reply) -> dict[str, Any]:
    return {**reply.value, "event_id": reply.event_id, "correlation_id": reply.event_id}
