"""HTTP surface of the volatility forecasts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.analytics import views
from services.analytics.engine import AnalyticsEngine
from services.analytics.volatility import DECAY, MIN_OBSERVATIONS, MODEL

#: Returns from which an estimate counts as reliable: a year of days.
RELIABLE_OBSERVATIONS = 250


def volatility_routes(engine: AnalyticsEngine) -> APIRouter:
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
            _forecast(engine, symbol, 1) for symbol, series in sorted(engine.state.symbols.items()) if series.closes
        ]
        return {"items": items, "count": len(items), "next_cursor": None}

    @routes.get("/symbols/{symbol}/forecast")
    async def forecast(symbol: str, horizon: Annotated[int, Query(ge=1, le=30)] = 5) -> dict[str, Any]:
        """The forecast for the next ``horizon`` days; 409 before there are enough returns."""
        series = views.symbol_of(engine, symbol)
        _, observations = series.volatility(engine.settings.periods_per_year)
        views.need(observations, MIN_OBSERVATIONS, f"the {MODEL} forecast of '{symbol}'")
        return _forecast(engine, symbol, horizon)

    return routes


def _forecast(engine: AnalyticsEngine, symbol: str, horizon: int) -> dict[str, Any]:
    series = engine.state.symbols[symbol]
    periods = engine.settings.periods_per_year
    volatility, observations = series.volatility(periods)
    reasons = {"std_error": "an exponentially weighted mean states no sampling error"}
    if volatility is None:
        reasons["volatility"] = reasons["variance"] = (
            f"needs at least {MIN_OBSERVATIONS} daily returns, has {observations}"
        )
    return {
        "symbol": symbol,
        "model": MODEL,
        "horizon_days": horizon,
        "volatility": volatility,
        "variance": None if volatility is None else volatility * volatility * horizon / periods,
        "std_error": None,
        "observations": observations,
        "reliable": observations >= RELIABLE_OBSERVATIONS,
        "reasons": reasons,
        **views.provenance(engine, series.ts_last, series.source, f"{MODEL} {DECAY}", series.is_synthetic),
    }
