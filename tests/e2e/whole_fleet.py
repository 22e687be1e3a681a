"""The whole fleet of production code in this process, on free ports, replaying a few months of real prices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from libs.clock import LiveClock
from libs.contracts.fleet import ENGINES
from libs.engine.process import Process
from libs.engine.settings import CLASSES, BusSettings, EngineSettings, ProcessSettings, parse_time_ns
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.redis.locks import free_port
from services.fleet.members import engine_components
from services.gateway.__main__ import services as gateway_services
from services.gateway.settings import EngineUrls, GatewaySettings
from services.websocket.__main__ import services as websocket_services
from services.websocket.settings import WebsocketSettings


def settings_class(engine: str) -> type[EngineSettings]:
    """The settings class of an engine."""
    import_module(f"services.{engine}.settings")
    prefix = f"{engine.upper()}_"
    return next(
        cls for cls in CLASSES if issubclass(cls, EngineSettings) and cls.model_config.get("env_prefix") == prefix
    )


@asynccontextmanager
async def whole_fleet(data_dir: Path, end: date, speed: float) -> AsyncIterator[Process]:
    """Run the fleet over 1990 up to ``end``; stopped with the block, if it was not before."""
    ports = {name: free_port() for name in ENGINES}
    market: dict[str, Any] = {"start_date": date(1990, 1, 1), "end_date": end, "speed": speed}
    settings = {
        name: settings_class(name)(port=ports[name], **(market if name == "marketdata" else {}))
        for name in ENGINES
        if name != "websocket"
    }
    urls = EngineUrls(**{f"{name}_url": f"http://127.0.0.1:{port}" for name, port in ports.items()})
    process = Process(
        engine_components(settings),
        ProcessSettings(data_dir=data_dir, clock_type="test", clock_start_time=parse_time_ns("1990-01-01")),
        MemoryTransport(),
        LiveClock(),
        services=[
            *websocket_services(WebsocketSettings(port=ports["websocket"])),
            *gateway_services(GatewaySettings(port=0, stale_seconds=3), urls),
        ],
        bus=BusSettings(heartbeat_seconds=0.5),
        name="fleet",
    )
    running = asyncio.create_task(process.run())
    try:
        await process.started.wait()
        yield process
    finally:
        process.stop()
        await running
