"""HTTP surface of the risk engine: reads from its state, writes as commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, status

from libs.contracts.risk import DeleteLimit, HaltTrading, LimitUpdated, ResolveBreach, ResumeTrading, SetLimit
from libs.engine.auth import actor_of
from libs.engine.commands import Commands, Reply
from libs.engine.problems import Problem
from services.risk.engine import RiskEngine
from services.risk.requests import Check, Halt, LimitValues, Method, NewLimit, Resolution, Resume
from services.risk.views import breach_view, exposure_view, limit_view, moment, provenance
from services.risk.what_if import assessment_of, check, value_at_risk

Limit = Annotated[int, Query(ge=1, le=1000)]
Confidence = Annotated[float, Query(gt=0.5, lt=1.0)]


def router(engine: RiskEngine, commands: Commands) -> APIRouter:
    """Routes under ``/risk``."""
    routes = APIRouter(prefix="/risk", tags=["risk"])
    _add_limits(routes, engine, commands)
    _add_breaches(routes, engine, commands)
    _add_measures(routes, engine)
    _add_halts(routes, engine, commands)
    return routes


def _add_limits(routes: APIRouter, engine: RiskEngine, commands: Commands) -> None:
    @routes.get("/limits")
    async def limits(limit: Limit = 100, cursor: str = "") -> dict[str, Any]:
        """Limits by id, measured; ``cursor`` is the id after which to go on."""
        state = engine.state
        ids = sorted(limit_id for limit_id in state.limits if limit_id > cursor)
        items = [limit_view(state.limits[limit_id], state.assessments) for limit_id in ids[:limit]]
        return _page(items, ids[limit - 1] if len(ids) > limit else None)

    @routes.post("/limits", status_code=status.HTTP_201_CREATED)
    async def create(request: Request, new: NewLimit) -> dict[str, Any]:
        """Create a limit; the next step measures it."""
        if new.limit_id in engine.state.limits:
            raise Problem(
                409, "duplicate", f"limit must be new, was '{new.limit_id}'", "replace it with PUT or choose an id"
            )
        return _written(await commands.send(_set_limit(engine, new.limit_id, new, actor_of(request))))

    @routes.get("/limits/{limit_id}")
    async def one(limit_id: str) -> dict[str, Any]:
        """A limit, measured."""
        return limit_view(_find_limit(engine, limit_id), engine.state.assessments)

    @routes.put("/limits/{limit_id}")
    async def replace(request: Request, limit_id: str, new: LimitValues) -> dict[str, Any]:
        """Replace a limit; its breaches are closed and the next step measures anew."""
        _find_limit(engine, limit_id)
        return _written(await commands.send(_set_limit(engine, limit_id, new, actor_of(request))))

    @routes.delete("/limits/{limit_id}")
    async def delete(request: Request, limit_id: str) -> dict[str, Any]:
        """Remove a limit and close its breaches."""
        return _written(await commands.send(DeleteLimit(engine.now_ns, limit_id, actor_of(request))))


def _add_breaches(routes: APIRouter, engine: RiskEngine, commands: Commands) -> None:
    @routes.get("/breaches")
    async def breaches(resolved: bool | None = None, limit: Limit = 100, cursor: int | None = None) -> dict[str, Any]:
        """Breaches, newest first; ``cursor`` goes on to older ones."""
        state = engine.state
        known = [] if resolved else list(state.open_breaches.values())
        known += state.resolved_breaches if resolved is not False else []
        numbered = sorted(((_number(one.breach_id), one) for one in known), key=lambda pair: -pair[0])
        older = [(number, one) for number, one in numbered if cursor is None or number < cursor]
        items = [breach_view(one) for _, one in older[:limit]]
        return _page(items, older[limit - 1][0] if len(older) > limit else None)

    @routes.post("/breaches/{breach_id}/resolve")
    async def resolve(request: Request, breach_id: str, done: Resolution) -> dict[str, Any]:
        """Close a breach by hand; it stays silent until it gets worse or is ok again."""
        return _written(
            await commands.send(ResolveBreach(engine.now_ns, breach_id, done.action_taken, actor_of(request)))
        )


def _add_measures(routes: APIRouter, engine: RiskEngine) -> None:
    @routes.get("/exposure/{portfolio_id}")
    async def exposure(portfolio_id: str) -> dict[str, Any]:
        """Exposures at the last assessment."""
        found = assessment_of(engine, portfolio_id)
        return {**exposure_view(found), **provenance(engine, portfolio_id, found)}

    @routes.get("/var/{portfolio_id}")
    async def var(
        portfolio_id: str,
        method: Method = "historical",
        confidence: Confidence = 0.95,
        horizon_days: Annotated[int, Query(ge=1, le=1)] = 1,
    ) -> dict[str, Any]:
        """Value at risk and expected shortfall of one day, with what each position contributes to the VaR."""
        return value_at_risk(engine, portfolio_id, method, confidence)

    @routes.post("/check/{portfolio_id}")
    async def what_if(portfolio_id: str, request: Check | None = None) -> dict[str, Any]:
        """Limits as they are, or as they would be with other positions; changes nothing."""
        return check(engine, portfolio_id, request or Check())


def _add_halts(routes: APIRouter, engine: RiskEngine, commands: Commands) -> None:
    @routes.get("/halts")
    async def halts() -> dict[str, Any]:
        """Halts in force."""
        items = [
            {
                "scope": halt.scope,
                "target": halt.target or None,
                "reason": halt.reason,
                "actor": halt.actor,
                "cancel_orders": halt.cancel_orders,
                "allow_reducing": halt.allow_reducing,
                "ts_event": halt.ts_event,
                "halted_at": moment(halt.ts_event),
            }
            for _, halt in sorted(engine.state.halts.items())
        ]
        return _page(items, None)

    @routes.post("/halt")
    async def halt(request: Request, new: Halt) -> dict[str, Any]:
        """Halt trading; it stays halted across restarts until somebody resumes exactly this."""
        command = HaltTrading(
            engine.now_ns,
            new.scope,
            new.target,
            new.reason,
            actor_of(request),
            new.cancel_orders,
            new.allow_reducing,
        )
        return _written(await commands.send(command))

    @routes.post("/resume")
    async def resume(request: Request, old: Resume) -> dict[str, Any]:
        """Lift a halt."""
        if not old.confirm:
            raise Problem(409, "not-confirmed", "confirm must be true to resume, was false", "send confirm: true")
        command = ResumeTrading(engine.now_ns, old.scope, old.target, old.reason, actor_of(request))
        return _written(await commands.send(command))


def _set_limit(engine: RiskEngine, limit_id: str, new: LimitValues, actor: str) -> SetLimit:
    return SetLimit(
        engine.now_ns,
        limit_id,
        new.limit_type,
        new.limit_value,
        new.threshold_warning,
        new.action,
        new.enabled,
        new.portfolio_id or "",
        new.symbol or "",
        actor,
        new.threshold_breach,
        new.equity_fraction,
    )


def _find_limit(engine: RiskEngine, limit_id: str) -> LimitUpdated:
    found = engine.state.limits.get(limit_id)
    if found is None:
        raise Problem(
            404, "unknown-limit", f"limit must exist, was '{limit_id}'", "see GET /risk/limits for those that do"
        )
    return found


def _number(breach_id: str) -> int:
    return int(breach_id.removeprefix("breach-"))


def _page(items: Sequence[Any], next_cursor: Any) -> dict[str, Any]:
    return {"items": items, "count": len(items), "next_cursor": next_cursor}


def _written(reply: Reply) -> dict[str, Any]:
    return {**reply.value, "event_id": reply.event_id, "correlation_id": reply.event_id}
