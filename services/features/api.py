"""HTTP surface of the features engine: reads, and calculations over given series."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool

from libs.engine.commands import Commands
from libs.engine.problems import Problem
from services.features.batch import calculate
from services.features.definitions import DEFINITIONS
from services.features.engine import FeaturesEngine
from services.features.requests import MAX_ROWS, BatchRequest, FeatureSet, GivenSeries

Interval = Annotated[str, Query(min_length=1, max_length=16)]


def router(engine: FeaturesEngine, _commands: Commands) -> APIRouter:
    """Routes under ``/features``; the engine takes no commands."""
    routes = APIRouter(prefix="/features", tags=["features"])

    @routes.get("/available")
    async def available() -> dict[str, Any]:
        """What can be calculated, from what, and after how many prices."""
        items = [
            {
                "name": one.name, "inputs": list(one.inputs), "warm_up": one.warm_up, "unit": one.unit,
                "formula": one.formula, "source": one.source,
            }
            for one in DEFINITIONS
        ]  # fmt: skip
        return {"items": items, "count": len(items), "next_cursor": None}

    @routes.get("/latest/{symbol}")
    async def latest(symbol: str, interval: Interval = "1d") -> FeatureSet:
        """The newest vector of an instrument; 404 before its first price."""
        return _stored(engine, symbol, interval)

    @routes.post("/calculate/{symbol}")
    async def calculate_one(symbol: str, given: GivenSeries) -> FeatureSet:
        """Features of the given series, or the stored ones when none is given."""
        if given.prices is None:
            return _stored(engine, symbol, given.interval)
        return await run_in_threadpool(_computed, symbol, given)

    @routes.post("/batch")
    async def batch(request: BatchRequest) -> dict[str, Any]:
        """A result or a problem for each symbol."""
        given = request.market_data or {}
        rows = sum(len(series.prices or ()) for series in given.values())
        if rows > MAX_ROWS:
            raise Problem(
                422,
                "too-many-rows",
                f"market_data must hold at most {MAX_ROWS} prices, was {rows}",
                "send several requests",
            )
        results: dict[str, FeatureSet] = {}
        problems: dict[str, dict[str, Any]] = {}
        for symbol in dict.fromkeys(request.symbols):
            series = given.get(symbol)
            try:
                if series is None or series.prices is None:
                    results[symbol] = _stored(engine, symbol, request.interval if series is None else series.interval)
                else:
                    results[symbol] = await run_in_threadpool(_computed, symbol, series)
            except Problem as problem:
                problems[symbol] = {
                    "status": problem.status, "code": problem.code, "detail": problem.detail, "remedy": problem.remedy,
                }  # fmt: skip
        return {"results": results, "problems": problems, "count": len(results)}

    return routes


def _stored(engine: FeaturesEngine, symbol: str, interval: str) -> FeatureSet:
    found = engine.latest(symbol, interval)
    if found is None:
        raise Problem(
            404, "no-features", f"no {interval} price of '{symbol}' has arrived, so there are no features",
            "check the symbol (SYMBOL.VENUE) and the interval, or give a series",
        )  # fmt: skip
    vector, source = found
    return FeatureSet(
        symbol=symbol,
        interval=interval,
        features={**vector.values, **dict.fromkeys(vector.missing)},
        reasons=vector.missing,
        window_start=vector.window_start,
        window_end=vector.ts_event,
        as_of=datetime.fromtimestamp(vector.ts_event / 1e9, UTC),
        age_seconds=engine.age_seconds(vector.ts_event),
        source=source,
        is_synthetic=vector.is_synthetic,
    )


def _computed(symbol: str, given: GivenSeries) -> FeatureSet:
    try:
        done = calculate(given.prices or [], given.high, given.low, given.volumes, given.interval)
    except ValueError as error:
        raise Problem(422, "invalid-series", str(error), "correct the series and send it again") from error
    return FeatureSet(
        symbol=symbol,
        interval=given.interval,
        features={**done.values, **dict.fromkeys(done.missing)},
        reasons=done.missing,
        observations=done.observations,
        source="request",
    )
