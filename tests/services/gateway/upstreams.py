"""Small real HTTP servers in the engines' places, and the real gateway in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from libs.contracts.fleet import ENGINES
from libs.messagebus.redis.locks import free_port
from services.gateway.__main__ import services
from services.gateway.settings import EngineUrls, GatewaySettings
from tests.services.websocket.running import Running, running

HEALTHY: dict[str, Any] = {
    "status": "healthy", "version": "0.1.0", "instance": "x-1", "epoch": 3, "lag_events": 0, "lag_seconds": 0.0,
    "uptime_seconds": 5.0, "halted": False, "halt_reason": None, "degraded_reasons": [], "dead_letters": 0,
    "role": "sequenced", "messagebus_connected": True,
    "inputs": [
        {"topic": "a", "age_seconds": 4.0}, {"topic": "b", "age_seconds": 1.5}, {"topic": "c", "age_seconds": None},
    ],
}  # fmt: skip


@dataclass
class Engines:
    """What stands in for engines: every request is kept, and answered as told.

    Attributes:
        status: What ``/status`` of an engine answers; None = the engine hangs.
        requests: Method, path with query, headers, body.
    """

    ports: dict[str, int]
    status: dict[str, dict[str, Any] | None] = field(default_factory=lambda: {name: dict(HEALTHY) for name in ENGINES})
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answer_status: int = 200

    def handler(self, engine: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self.handle(engine, request)

        return handle

    async def handle(self, engine: str, request: web.Request) -> web.StreamResponse:
        if request.path == "/status":
            status = self.status[engine]
            if status is None:
                await asyncio.sleep(3_600)
            return web.json_response(status)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, request.raw_path, headers, await request.read()))
        if request.path == "/risk/breaks-off":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"{")
            assert request.transport is not None
            request.transport.close()
            return response
        if request.path == "/risk/hangs":
            await asyncio.sleep(3_600)
        extra = {"Location": "/x", "Set-Cookie": "secret=1", "Retry-After": "7"}
        return web.json_response({"engine": engine, "path": request.raw_path}, status=self.answer_status, headers=extra)


@asynccontextmanager
async def gateway(
    data_dir: Path, up: tuple[str, ...] = ENGINES, process: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[Running, Engines]]:
    """A gateway over servers for ``up``; the other engines' ports are closed."""
    engines = Engines({name: free_port() for name in ENGINES if name not in up})
    runners = []
    for name in up:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", engines.handler(name))
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        engines.ports[name] = runner.addresses[0][1]
        runners.append(runner)
    urls = EngineUrls(**{f"{name}_url": f"http://127.0.0.1:{port}" for name, port in engines.ports.items()})
    chosen = GatewaySettings(port=0, **{"health_seconds": 0.05, "health_timeout_seconds": 0.3, **settings})
    try:
        async with running(services(chosen, urls), data_dir, **(process or {})) as here:
            yield here, engines
    finally:
        for runner in runners:
            await runner.cleanup()
