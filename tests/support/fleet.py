"""Runs the embedded fleet inside a test: the real process on a real bus, on free ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from libs.clock import LiveClock
from libs.contracts.fleet import ENGINES
from libs.contracts.topics import CODEC
from libs.engine.process import Process
from libs.engine.settings import BusSettings, EngineSettings, ProcessSettings
from libs.messagebus.transport import Transport
from services.fleet.members import engine_components
from services.fleet.report import RunReport
from services.marketdata.adapters.dataset import open_dataset
from services.marketdata.settings import MarketDataSettings

Work = Callable[[Process], Awaitable[None]]


def settings_on_free_ports(market: MarketDataSettings) -> dict[str, EngineSettings]:
    """Default settings of every engine, with port 0 = any free one."""
    found: dict[str, EngineSettings] = {"marketdata": market.model_copy(update={"port": 0})}
    for name in ENGINES:
        if name not in {"websocket", "marketdata"}:
            module = import_module(f"services.{name}.settings")
            kind = next(
                kind for kind in vars(module).values()
                if isinstance(kind, type) and issubclass(kind, EngineSettings) and kind.__module__ == module.__name__
            )  # fmt: skip
            found[name] = kind(port=0)
    return found


async def run_fleet(
    transport: Transport, market: MarketDataSettings, data_dir: Path, work: Work, **process_settings: Any
) -> Process:
    """Run the fleet while ``work`` runs, then stop it in order."""
    first = next(open_dataset(market))
    settings = ProcessSettings(
        clock_type="test", clock_start_time=first.ts_event, data_dir=data_dir, **process_settings
    )
    components = engine_components(settings_on_free_ports(market))
    process = Process(components, settings, transport, LiveClock(), bus=BusSettings(), name="fleet")
    running = asyncio.create_task(process.run())
    started = asyncio.create_task(process.started.wait())
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        working = asyncio.create_task(work(process))  # type: ignore[arg-type]
        await asyncio.wait({running, working}, return_when=asyncio.FIRST_COMPLETED)
        process.stop()
        await running
        await working
    else:
        started.cancel()
        running.result()
    return process


async def until_feed(process: Process, state: str, seconds: float = 120.0) -> None:
    """Wait until the replay reports ``state``."""
    engine: Any = process.members["marketdata"].host.engine  # type: ignore[union-attr]
    async with asyncio.timeout(seconds):
        while (feed := engine.state.feeds.get("replay")) is None or feed.state != state:
            await asyncio.sleep(0.02)


async def report_of(transport: Transport) -> RunReport:
    """What the bus holds of orders, fills and snapshots, from the first entry on."""
    report = RunReport()
    for stream in ("orders:high", "portfolio:normal", "analytics:low"):
        position = "0-0"
        while entries := await transport.read({stream: position}, 500, 0):
            for entry in entries:
                report.observe(stream, CODEC.decode(entry.data))
            position = entries[-1].entry_id
    return report
