"""The fleet as the gateway sees it: grid, health of all and of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.contracts.fleet import ENGINES
from libs.engine.plain import iso
from libs.engine.problems import Problem
from libs.version import CODE_VERSION
from services.gateway.adapters.rounds import Rounds
from services.gateway.adapters.upstream import Upstreams
from services.gateway.fleet import Reading, row
from services.gateway.settings import GatewaySettings


def health_router(
    rounds: Rounds,
    upstreams: Upstreams,
    settings: GatewaySettings,
    heartbeat_ages: Callable[[], Mapping[str, float | None]],
    clock: Clock,
) -> APIRouter:
    """Routes ``/health/comprehensive``, ``/health/{service}``, ``/api/v1/status`` and ``/api/v1/fleet``."""
    routes = APIRouter(tags=["fleet"])

    def grid(readings: Mapping[str, Reading]) -> list[dict[str, Any]]:
        now, ages = monotonic_ns(), heartbeat_ages()
        return [
            row(name, readings.get(name), ages.get(name), upstreams.breakers[name].state(now), now) for name in ENGINES
        ]

    def broken(readings: Mapping[str, Reading]) -> list[str]:
        return [name for name in settings.required if (found := readings.get(name)) is None or found.state != "healthy"]

    @routes.get("/health/comprehensive")
    async def comprehensive() -> JSONResponse:
        """Every engine asked now; 503 names the required ones that are not well."""
        readings = await rounds.look()
        rounds.readings.update(readings)
        failing = broken(readings)
        body = {
            "status": "degraded" if failing else "healthy",
            "failing": failing,
            "checked_at": iso(clock.timestamp_ns()),
            "engines": grid(readings),
        }
        return JSONResponse(body, 503 if failing else 200, {"Retry-After": "2"} if failing else None)

    @routes.get("/health/{service}")
    async def of_service(service: str) -> JSONResponse:
        """The health of one engine as it says itself, asked now."""
        if service not in ENGINES:
            raise Problem(404, "unknown-engine", f"there is no engine '{service}'", f"one of {', '.join(ENGINES)}")
        timeout = settings.health_timeout_seconds
        answer = await upstreams.ask(service, "GET", "/health", "", {}, None, timeout)
        return JSONResponse(await answer.json(), answer.status)

    @routes.get("/api/v1/status")
    async def status() -> dict[str, Any]:
        """The fleet in a few words."""
        failing = broken(rounds.readings)
        states = {name: found.state for name, found in sorted(rounds.readings.items())}
        statuses = [found.status for found in rounds.readings.values() if found.status is not None]
        halted = next((one for one in statuses if one.get("halted")), None)
        return {
            "status": "degraded" if failing else "healthy",
            "version": CODE_VERSION,
            "failing": failing,
            "engines": states,
            "halted": halted is not None,
            "halt_reason": halted.get("halt_reason") if halted else None,
            "server_time": iso(clock.timestamp_ns()),
        }

    @routes.get("/api/v1/fleet")
    async def fleet() -> dict[str, Any]:
        """The grid at the last round, with its age in every row."""
        return {"engines": grid(rounds.readings), "checked_every_seconds": settings.health_seconds}

    return routes
