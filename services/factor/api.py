"""HTTP surface of the factor engine: the catalogue, and the newest cross-section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from libs.engine.commands import Commands
from libs.engine.problems import Problem
from services.factor.definitions import CATEGORIES, DEFINITIONS, FACTOR_IDS, LOOKBACKS, FactorDefinition
from services.factor.engine import FactorEngine, Result


class PanelRequest(BaseModel):
    """What to show of the newest cross-section; null = all."""

    model_config = ConfigDict(extra="forbid")

    symbols: list[str] | None = Field(default=None, min_length=1, max_length=500)
    factor_ids: list[str] | None = Field(default=None, min_length=1, max_length=100)


def router(engine: FactorEngine, _commands: Commands) -> APIRouter:
    """Routes under ``/factors``; the engine takes no commands."""
    routes = APIRouter(prefix="/factors", tags=["factor"])

    @routes.get("/definitions")
    async def definitions() -> dict[str, Any]:
        """Every factor there is."""
        return _listed([_shown(one) for one in DEFINITIONS])

    @routes.get("/categories/{category}")
    async def category(category: str) -> dict[str, Any]:
        """The factors of one category."""
        chosen = [_shown(one) for one in DEFINITIONS if one.category == category.lower()]
        if not chosen:
            raise Problem(
                404, "unknown-category", f"no factor has category '{category}'", f"use {', '.join(CATEGORIES)}"
            )
        return _listed(chosen)

    @routes.get("/results/{symbol}")
    async def results(symbol: str, factor_ids: Annotated[list[str] | None, Query()] = None) -> dict[str, Any]:
        """The newest factors of one instrument."""
        chosen = _checked(factor_ids)
        result = _found(engine, symbol)
        return {"symbol": symbol, "ts_event": result.event.ts_event, **_listed(_rows(engine, result, chosen))}

    @routes.post("/panel")
    async def panel(request: PanelRequest) -> dict[str, Any]:
        """The newest cross-section: instruments that had a price at its timestamp."""
        chosen = _checked(request.factor_ids)
        newest = engine.state.panel
        if newest is None:
            raise Problem(
                404,
                "no-panel",
                "no cross-section has been calculated yet",
                "wait for a daily price of a tradable instrument",
            )
        found = [_found(engine, symbol) for symbol in sorted(dict.fromkeys(request.symbols or engine.state.results))]
        members = [result for result in found if result.event.ts_event == newest.ts_event]
        absent = [result.event.symbol for result in found if result.event.ts_event != newest.ts_event]
        return {
            "ts_event": newest.ts_event,
            "universe": newest.universe,
            "counts": {factor_id: newest.counts[factor_id] for factor_id in chosen},
            "reasons": dict.fromkeys(absent, "no price at the timestamp of this cross-section"),
            **_listed([row for result in members for row in _rows(engine, result, chosen)]),
        }

    return routes


def _listed(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"items": items, "count": len(items), "next_cursor": None}


def _shown(definition: FactorDefinition) -> dict[str, Any]:
    return asdict(definition) | {"aliases": [], "twin_of": None, "enabled": True}


def _checked(factor_ids: Sequence[str] | None) -> Sequence[str]:
    for factor_id in factor_ids or ():
        if factor_id not in LOOKBACKS:
            raise Problem(422, "unknown-factor", f"there is no factor '{factor_id}'", f"use {', '.join(FACTOR_IDS)}")
    return list(dict.fromkeys(factor_ids or FACTOR_IDS))


def _found(engine: FactorEngine, symbol: str) -> Result:
    result = engine.state.results.get(symbol)
    if result is None:
        raise Problem(
            404, "no-factors", f"no factors of '{symbol}' have been calculated",
            "check the symbol (SYMBOL.VENUE); it must be tradable and have a daily price",
        )  # fmt: skip
    return result


def _rows(engine: FactorEngine, result: Result, factor_ids: Sequence[str]) -> list[dict[str, Any]]:
    event = result.event
    return [
        {
            "factor_id": factor_id,
            "symbol": event.symbol,
            "ts_event": event.ts_event,
            "value": event.values.get(factor_id),
            "zscore": event.zscores.get(factor_id),
            "reason": event.missing.get(factor_id) or event.missing.get(f"{factor_id}_zscore"),
            "confidence": min(1.0, result.closes / LOOKBACKS[factor_id]),
            "data_age_seconds": engine.age_seconds(event.ts_event),
            "source": engine.state.histories[event.symbol].source,
            "is_synthetic": event.is_synthetic,
        }
        for factor_id in factor_ids
    ]
