"""HTTP surface of the collateral engine: reads and what-if calculations; nothing here changes state."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from libs.engine.commands import Commands
from services.collateral import views
from services.collateral.engine import CollateralEngine
from services.collateral.requests import MarginRequest, StressRequest


def router(engine: CollateralEngine, _commands: Commands) -> APIRouter:
    """Routes under ``/api/v1/collateral``; the engine takes no commands."""
    routes = APIRouter(prefix="/api/v1/collateral", tags=["collateral"])

    @routes.get("/status")
    async def status() -> dict[str, Any]:
        """Every monitored portfolio with its last margin state."""
        portfolios = [
            {
                "portfolio_id": portfolio_id,
                "state": account.result.state if account.result else None,
                "margin_utilization": account.result.margin_utilization if account.result else None,
                "calculations": account.calculations,
            }
            for portfolio_id, account in sorted(engine.state.accounts.items())
        ]
        return {"portfolios": portfolios, "counters": dict(engine.status())}

    @routes.get("/monitoring/status/{portfolio_id}")
    async def monitoring_status(portfolio_id: str) -> dict[str, Any]:
        """The last published margin of a portfolio, its alerts, and what could not be rated."""
        return views.status_answer(engine, views.account_of(engine, portfolio_id))

    @routes.post("/margin/calculate")
    async def calculate(request: MarginRequest) -> dict[str, Any]:
        """Margin of a monitored portfolio as it is, or of one that might be."""
        # 500 positions through seven scenarios take 0.1 s, too long for the loop that consumes the bus.
        subject = views.subject_of(engine, request)
        return await run_in_threadpool(views.margin_answer, engine, subject, request)

    @routes.post("/stress-test")
    async def stress_test(request: StressRequest) -> dict[str, Any]:
        """Scenarios; the whole passes only if every one of them was evaluated and passed."""
        subject = views.subject_of(engine, request)
        return await run_in_threadpool(views.stress_answer, engine, subject, request)

    return routes
