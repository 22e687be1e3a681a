"""The fleet as the gateway sees it: grid, health of all and of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

HeartbeatAges = Callable[[], Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class FleetView:
    """What the gateway knows of the fleet.

    Attributes:
        heartbeat_ages: Seconds since each engine's last heartbeat, None where none was heard.
    """

    rounds: Rounds
    upstreams: Upstreams
    settings: GatewaySettings
    heartbeat_ages: HeartbeatAges

    def grid(self, readings: Mapping[str, Reading]) -> list[dict[str, Any]]:
        """One row an engine."""
        now, ages, breakers = monotonic_ns(), self.heartbeat_ages(), self.upstreams.breakers
        return [row(name, readings.get(name), ages.get(name), breakers[name].state(now), now) for name in ENGINES]

    def failing(self, readings: Mapping[str, Reading]) -> list[str]:
        """Required engines that are not well, or were not looked at yet."""
        required = self.settings.required
        return [name for name in required if (found := readings.get(name)) is None or found.state != "healthy"]


def health_router(view: FleetView, clock: Clock) -> APIRouter:
    """Routes ``/health/comprehensive``, ``/health/{service}``, ``/api/v1/status`` and ``/api/v1/fleet``."""
    routes = APIRouter(tags=["fleet"])
    _add_health(routes, view, clock)
    _add_fleet(routes, view, clock)
    return routes


def _add_health(routes: APIRouter, view: FleetView, clock: Clock) -> None:
    @routes.get("/health/comprehensive")
    async def comprehensive() -> JSONResponse:
        """Every engine asked now; 503 names the required ones that are not well."""
        readings = await view.rounds.look()
        view.rounds.readings.update(readings)
        failing = view.failing(readings)
        body = {
            "status": "degraded" if failing else "healthy",
            "failing": failing,
            "checked_at": iso(clock.timestamp_ns()),
            "engines": view.grid(readings),
        }
        return JSONResponse(body, 503 if failing else 200, {"Retry-After": "2"} if failing else None)

    @routes.get("/health/{service}")
    async def of_service(service: str) -> JSONResponse:
        """The health of one engine as it says itself, asked now."""
        if service not in ENGINES:
            raise Problem(404, "unknown-engine", f"there is no engine '{service}'", f"one of {', '.join(ENGINES)}")
        timeout = view.settings.health_timeout_seconds
        answer = await view.upstreams.ask(service, "GET", "/health", "", {}, None, timeout)
        return JSONResponse(await answer.json(), answer.status)


def _add_fleet(routes: APIRouter, view: FleetView, clock: Clock) -> None:
    @routes.get("/api/v1/status")
    async def status() -> dict[str, Any]:
        """The fleet in a few words."""
        readings = view.rounds.readings
        failing = view.failing(readings)
        statuses = [found.status for found in readings.values() if found.status is not None]
        halted = next((one for one in statuses if one.get("halted")), None)
        return {
            "status": "degraded" if failing else "healthy",
            "version": CODE_VERSION,
            "failing": failing,
            "engines": {name: found.state for name, found in sorted(readings.items())},
            "halted": halted is not None,
            "halt_reason": halted.get("halt_reason") if halted else None,
            "server_time": iso(clock.timestamp_ns()),
        }

    @routes.get("/api/v1/fleet")
    async def fleet() -> dict[str, Any]:
        """The grid at the last round, with its age in every row."""
        return {"engines": view.grid(view.rounds.readings), "checked_every_seconds": view.settings.health_seconds}
