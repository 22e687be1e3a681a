"""The HTTP surface of an engine, composed: its own routes, the control surface all engines have, problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from libs.clock import Clock
from libs.engine.auth import AuthMiddleware, Guard
from libs.engine.control import control_router
from libs.engine.halts import HaltDesk
from libs.engine.health import LIMITS, HealthLimits, HostView, checks_of, is_healthy, reasons_of, status_of, waiting_for
from libs.engine.metrics import HttpMetrics, counters, export_vitals
from libs.engine.plain import iso, plain, rounded
from libs.engine.problems import MEDIA_TYPE, install_problem_handlers
from libs.engine.vitals import InputFact, Vitals

_SECOND = 1_000_000_000


def create_app(
    host: HostView,
    *,
    title: str,
    routers: Iterable[APIRouter],
    registry: CollectorRegistry,
    settings_view: Mapping[str, Any],
    live_clock: Clock,
    desk: HaltDesk,
    guard: Guard,
    clock_type: str = "live",
    limits: HealthLimits = LIMITS,
    body_limits: Mapping[str, int] | None = None,
) -> FastAPI:
    """Put the surface of one engine together.

    Args:
        host: What the surface shows and controls.
        title: Of the OpenAPI document.
        routers: The engine's own routes.
        registry: The engine's metrics; what is read at scrape time is added here.
        settings_view: Settings in force, secrets masked.
        live_clock: Stamps answers.
        desk: Halts trading.
        guard: Decides who may do what.
        clock_type: ``live`` or ``test``, as ``/status`` tells.
        limits: Of the health rules.
        body_limits: Bytes by path where 1 MiB is too little.
    """
    export_vitals(registry, host.name, host.vitals, lambda vitals: is_healthy(vitals, limits))
    app = FastAPI(title=title, version=host.version, docs_url=None, redoc_url=None)
    app.add_middleware(AuthMiddleware, guard=guard)  # what is added last is passed first: the edge, then the door
    install_problem_handlers(app, HttpMetrics(registry, host.name), body_limits)
    app.include_router(_health_router(host, limits))
    app.include_router(_status_router(host, settings_view, live_clock, clock_type, limits))
    app.include_router(_metrics_router(registry))
    app.include_router(control_router(host, desk, live_clock))
    for router in routers:
        app.include_router(router)
    _describe_problems(app)
    return app


def _health_router(host: HostView, limits: HealthLimits) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health")
    async def health() -> JSONResponse:
        """Whether all is well: 200, else 503 with what is wrong."""
        vitals = host.vitals()
        body = health_body(host, vitals, limits)
        well = is_healthy(vitals, limits)
        return JSONResponse(body, 200 if well else 503, _retry(not well))

    @router.get("/health/live")
    async def live() -> JSONResponse:
        """Whether the process is alive: its event loop runs."""
        age = host.vitals().loop_tick_age_seconds
        alive = age <= limits.loop
        return JSONResponse(
            {"alive": alive, "loop_tick_age_seconds": rounded(age)}, 200 if alive else 503, _retry(not alive)
        )

    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        """Whether work may be sent here: connected, caught up, making progress."""
        vitals = host.vitals()
        missing = waiting_for(vitals, limits)
        body = {
            "ready": not missing,
            "lag_events": vitals.lag_entries,
            "lag_seconds": rounded(vitals.lag_seconds),
            "waiting_for": missing,
        }
        return JSONResponse(body, 503 if missing else 200, _retry(bool(missing)))

    return router


def _status_router(
    host: HostView, settings_view: Mapping[str, Any], live_clock: Clock, clock_type: str, limits: HealthLimits
) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/status")
    async def status() -> JSONResponse:
        """Everything the engine knows of itself."""
        vitals, now = host.vitals(), live_clock.timestamp_ns()
        snapshot_age = vitals.snapshot_age_seconds
        return JSONResponse(
            {
                **health_body(host, vitals, limits),
                "role": host.role,
                "standby": asdict(vitals.standby) if vitals.standby else None,
                "has_standby": vitals.watched,
                "inputs": [_input(source) for source in vitals.inputs],
                "lag_events": vitals.lag_entries,
                "lag_seconds": rounded(vitals.lag_seconds),
                "journal": {"entries": vitals.journal_entries, "last_hash": vitals.last_hash or None},
                "snapshot": {
                    "ts": None if snapshot_age is None else now - int(snapshot_age * _SECOND),
                    "age_seconds": rounded(snapshot_age),
                    "commit": vitals.snapshot_number or None,
                },
                "tasks": [
                    {"name": task.name, "state": task.state, "progress_age_seconds": rounded(task.progress_age_seconds)}
                    for task in vitals.tasks
                ],
                "dead_letters": vitals.dead_letters,
                "halts": [asdict(halt) for halt in vitals.halts],
                "jobs": [],
                "devices": [],
                "clock": {"type": clock_type, "now_ns": now, "engine_ns": host.clock_ns()},
                "settings": plain(settings_view),
            }
        )

    return router


def _metrics_router(registry: CollectorRegistry) -> APIRouter:
    router = APIRouter(tags=["metrics"])

    @router.get("/metrics")
    async def prometheus() -> Response:
        """Metrics in the Prometheus text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/metrics/json")
    async def as_json() -> JSONResponse:
        """The same as plain numbers, histograms as count and sum."""
        return JSONResponse(plain(counters(registry)))

    return router


def health_body(host: HostView, vitals: Vitals, limits: HealthLimits = LIMITS) -> dict[str, Any]:
    """The answer of ``/health``."""
    checks = checks_of(vitals, limits)
    age = vitals.bus_age_seconds
    halt = next((halt for halt in vitals.halts if halt.scope == "all"), None)
    return {
        "engine": host.name,
        "status": status_of(vitals, checks),
        "version": host.version,
        "instance": host.instance,
        "epoch": vitals.epoch,
        "uptime_seconds": rounded(vitals.uptime_seconds),
        "messagebus_connected": age is not None and age <= limits.bus,
        "halted": vitals.halted,
        "halt_reason": halt.reason if halt else None,
        "checks": [
            {
                "name": check.name,
                "ok": check.ok,
                "age_seconds": rounded(check.age_seconds),
                "limit_seconds": check.limit_seconds,
                "detail": check.detail,
            }
            for check in checks
        ],
        "degraded_reasons": reasons_of(vitals, checks),
        "counters": plain(host.counters()),
    }


def _input(source: InputFact) -> dict[str, Any]:
    return {
        "topic": source.topic,
        "last_event_at": iso(source.last_event_ns),
        "age_seconds": rounded(source.age_seconds),
        "max_age_seconds": source.max_age_seconds,
        "lag_events": source.lag_entries,
        "events": source.count,
    }


def _retry(wanted: bool) -> dict[str, str] | None:
    return {"Retry-After": "2"} if wanted else None


def _describe_problems(app: FastAPI) -> None:
    """Make the OpenAPI document say what an error looks like: FastAPI's own 422 is never sent."""
    generate = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        schemas["Problem"] = _PROBLEM_SCHEMA
        answer = {
            "description": "What went wrong (RFC 9457)",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for path, operations in document.get("paths", {}).items():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["4XX"] = answer
                if not path.startswith("/health"):  # whose 503 is the same document as its 200
                    operation["responses"]["5XX"] = answer
        return document

    app.openapi = described  # type: ignore[method-assign]


_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "remedy", "correlation_id"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "instance", "code", "remedy")},
        "status": {"type": "integer"},
        "correlation_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"loc": {"type": "array"}, "message": {"type": "string"}, "input": {}, "allowed": {}},
            },
        },
    },
}
