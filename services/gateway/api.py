"""What the gateway passes on: every read and write of an engine, under its own name or a public one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import ClientError
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from libs.clock.live import monotonic_ns
from libs.contracts.fleet import ENGINES
from libs.engine.auth import principal_of
from libs.engine.edge import CORRELATION_HEADER
from libs.engine.permissions import is_read
from libs.engine.problems import Problem
from services.gateway.adapters.upstream import FORWARDED, Answer, Upstreams
from services.gateway.limiter import RateLimiter
from services.gateway.routing import ALIASES, target_of
from services.gateway.settings import GatewaySettings

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def router(upstreams: Upstreams, settings: GatewaySettings) -> APIRouter:
    """Routes under ``/api/v1`` that engines answer."""
    routes = APIRouter(tags=["engines"])
    reads, writes = RateLimiter(settings.reads_per_second), RateLimiter(settings.writes_per_second)

    @routes.get("/api/v1/routes")
    async def table() -> dict[str, Any]:
        """Which engine answers which path."""
        items = [
            {"path": f"/api/v1/{alias.prefix}", "engine": alias.engine, "engine_path": alias.onto or "/"}
            for alias in ALIASES
        ]
        items += [
            {"path": f"/api/v1/engines/{engine}", "engine": engine, "engine_path": "/"} for engine in sorted(ENGINES)
        ]
        return {"items": items, "count": len(items), "next_cursor": None}

    @routes.api_route("/api/v1/{path:path}", methods=_METHODS, include_in_schema=False)
    async def forward(path: str, request: Request) -> Response:
        """Pass a request on and its answer back, unchanged; what fails on the way is told as a problem."""
        target = target_of(request.scope["path"])
        if target is None:
            raise Problem(404, "not-found", f"no engine answers /api/v1/{path}", "see GET /api/v1/routes")
        check_rate(request, reads if is_read(request.method) else writes)
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
        headers[CORRELATION_HEADER] = request.state.correlation_id
        body = await request.body()
        answer = await upstreams.send(
            target.engine, request.method, _quoted(target.path), request.url.query, headers, body or None
        )
        return StreamingResponse(_body_of(answer, target.engine), answer.status, answer.headers)

    return routes


async def _body_of(answer: Answer, engine: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.body():
            yield chunk
    except ClientError as error:
        # The head is out: only breaking off tells the caller that this is not the whole answer.
        structlog.get_logger("gateway").warning("upstream_broke_off", upstream=engine, error=str(error))
        raise


def _quoted(target: str) -> str:
    return quote(target, safe="/:@!$&'()*+,;=~-._")


def check_rate(request: Request, limiter: RateLimiter) -> None:
    """Count a request.

    Raises:
        Problem: 429 if its sender asks too often.
    """
    principal = principal_of(request)
    address = request.client.host if request.client else ""
    name = address if principal.name in ("anonymous", "local") else principal.name
    now = monotonic_ns()
    if not limiter.admit(name, now):
        raise Problem(
            429, "rate-limited", f"'{name}' asks too often", "slow down; see Retry-After",
            retry_after_seconds=limiter.retry_after_seconds(name, now),
        )  # fmt: skip
