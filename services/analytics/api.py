"""HTTP surface of the analytics engine: reads only."""

from __future__ import annotations

from itertools import accumulate
from typing import Annotated, Any

from fastapi import APIRouter, Query

from libs.engine.commands import Commands
from services.analytics import views
from services.analytics.engine import AnalyticsEngine
from services.analytics.requests import CalculateRequest, Calculation, Page, Performance, PerformanceRequest
from services.analytics.volatility import DECAY, MIN_OBSERVATIONS, MODEL
from services.analytics.windows import portfolio_window, symbol_window

Limit = Annotated[int, Query(ge=1, le=50_000)]
Cursor = Annotated[str, Query(max_length=20)]


def router(engine: AnalyticsEngine, _commands: Commands) -> APIRouter:
    """Routes under ``/analytics`` and ``/api/v1/volatility``; the engine takes no commands."""
    routes = APIRouter()
    routes.include_router(_portfolio_routes(engine))
    routes.include_router(_symbol_routes(engine))
    routes.include_router(_volatility_routes(engine))
    return routes


def _portfolio_routes(engine: AnalyticsEngine) -> APIRouter:
    routes = APIRouter(prefix="/analytics", tags=["analytics"])

    @routes.get("/performance/{portfolio_id}")
    async def since_inception(portfolio_id: str) -> dict[str, Any]:
        """The running figures since inception, as published after the newest step (fractions, not percent)."""
        record = views.portfolio_of(engine, portfolio_id)
        observations = record.series.current().count
        views.need(observations, 2, f"performance of '{portfolio_id}'")
        values, reasons = engine.figures_of(record)
        return {
            "id": portfolio_id,
            "metrics": {**dict.fromkeys(reasons), **values},
            "reasons": reasons,
            "observations": observations,
            "benchmark": engine.settings.benchmark,
            "benchmark_observations": record.series.current_pair().count,
            "period_start": views.iso(record.series.ts_first),
            "period_end": views.iso(record.series.ts_last),
            **views.provenance(engine, record.series.ts_last, "portfolio snapshots", views.METHOD, record.is_synthetic),
        }

    @routes.post("/performance/{portfolio_id}")
    async def performance(portfolio_id: str, asked: PerformanceRequest) -> Performance:
        """Performance over the newest ``period_days`` daily returns; 409 under two."""
        record = views.portfolio_of(engine, portfolio_id)
        benchmark = engine.state.symbols.get(asked.benchmark or engine.settings.benchmark)
        window = portfolio_window(record.series, benchmark, last=asked.period_days)
        synthetic = record.is_synthetic or bool(benchmark and benchmark.is_synthetic)
        return views.performance(engine, portfolio_id, window, asked, synthetic, "portfolio snapshots")

    @routes.post("/calculate/{portfolio_id}")
    async def calculate(portfolio_id: str, asked: CalculateRequest) -> Calculation:
        """Chosen figures over a range of dates; milliseconds, so the answer is the result."""
        record = views.portfolio_of(engine, portfolio_id)
        benchmark = engine.state.symbols.get(asked.benchmark or engine.settings.benchmark)
        window = portfolio_window(record.series, benchmark, start_ns=asked.start_date, end_ns=asked.end_date)
        synthetic = record.is_synthetic or bool(benchmark and benchmark.is_synthetic)
        return views.calculation(engine, portfolio_id, window, asked, synthetic)

    @routes.get("/returns/{portfolio_id}")
    async def returns(portfolio_id: str, limit: Limit = 1_000, cursor: Cursor = "") -> Page:
        """The daily returns, oldest first, each with the compounded return since the first one kept."""
        record = views.portfolio_of(engine, portfolio_id)
        values, began, ended = record.series.history()
        wealth = accumulate(values, lambda total, value: total * (1.0 + value), initial=1.0)
        next(wealth)
        items = [
            (end, {"ts_began": start, "ts_event": end, "return": value, "cumulative_return": total - 1.0})
            for start, end, value, total in zip(began, ended, values, wealth, strict=True)
        ]
        return views.page(items, cursor, limit)

    @routes.get("/execution/{portfolio_id}")
    async def execution(portfolio_id: str) -> dict[str, Any]:
        """Slippage, shortfall and latency of all fills; 409 before the first."""
        record = views.portfolio_of(engine, portfolio_id)
        return views.execution(engine, portfolio_id, record.execution, record.is_synthetic)

    return routes


def _symbol_routes(engine: AnalyticsEngine) -> APIRouter:
    routes = APIRouter(prefix="/analytics", tags=["analytics"])

    @routes.get("/available-symbols")
    async def available_symbols() -> dict[str, Any]:
        """Instruments with a usable price."""
        items = [
            {
                "symbol": symbol, "closes": len(series.closes), "ts_event": series.ts_last, "source": series.source,
                "is_synthetic": series.is_synthetic,
            }
            for symbol, series in sorted(engine.state.symbols.items())
            if series.closes
        ]  # fmt: skip
        return {"items": items, "count": len(items), "next_cursor": None}

    @routes.get("/performance-metrics/{symbol}")
    async def performance_metrics(
        symbol: str,
        period_days: Annotated[int, Query(ge=2, le=5_040)] = 252,
        benchmark: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    ) -> Performance:
        """Performance of holding an instrument over the newest ``period_days`` daily returns kept."""
        series = views.symbol_of(engine, symbol)
        asked = PerformanceRequest(benchmark=benchmark, period_days=period_days)
        other = engine.state.symbols.get(benchmark or engine.settings.benchmark)
        window = symbol_window(series, other, last=period_days)
        synthetic = series.is_synthetic or bool(other and other.is_synthetic)
        return views.performance(engine, symbol, window, asked, synthetic, series.source)

    @routes.get("/market-data/{symbol}")
    async def market_data(symbol: str, limit: Limit = 1_000, cursor: Cursor = "") -> Page:
        """The daily closes kept, oldest first; the last one is the running day's newest price."""
        series = views.symbol_of(engine, symbol)
        items = [(ts, {"ts_event": ts, "close": close}) for ts, close in zip(series.closed, series.closes, strict=True)]
        return views.page(items, cursor, limit)

    return routes


def _volatility_routes(engine: AnalyticsEngine) -> APIRouter:
    """Routes under ``/api/v1/volatility``."""
    routes = APIRouter(prefix="/api/v1/volatility", tags=["volatility"])

    @routes.get("/models")
    async def models() -> dict[str, Any]:
        """The models that forecast."""
        one = {
            "model": MODEL,
            "parameters": {"decay": DECAY},
            "minimum_observations": MIN_OBSERVATIONS,
            "periods_per_year": engine.settings.periods_per_year,
            "formula": "sqrt(p * sum(decay^k * r[t-k]^2) / sum(decay^k)), r daily log returns",
        }
        return {"items": [one], "count": 1, "next_cursor": None}

    @routes.get("/symbols")
    async def symbols() -> dict[str, Any]:
        """Instruments with a usable price, and their forecast or why there is none."""
        items = [
            views.forecast(engine, symbol, 1)
            for symbol, series in sorted(engine.state.symbols.items())
            if series.closes
        ]
        return {"items": items, "count": len(items), "next_cursor": None}

    @routes.get("/symbols/{symbol}/forecast")
    async def forecast(symbol: str, horizon: Annotated[int, Query(ge=1, le=30)] = 5) -> dict[str, Any]:
        """The forecast for the next ``horizon`` days; 409 before there are enough returns."""
        series = views.symbol_of(engine, symbol)
        _, observations = series.volatility(engine.settings.periods_per_year)
        views.need(observations, MIN_OBSERVATIONS, f"the {MODEL} forecast of '{symbol}'")
        return views.forecast(engine, symbol, horizon)

    return routes
