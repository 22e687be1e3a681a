"""A short replay of the whole fleet, recorded once for all tests of this folder."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from datetime import date
from functools import cache
from pathlib import Path

from libs.contracts.fleet import READERS
from libs.contracts.topics import REGISTRY
from libs.engine.process import Process
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import Transport
from services.fleet.record.container import ContainerWriter, Header
from services.fleet.record.recorder import Summary, record
from services.marketdata.settings import MarketDataSettings
from tests.support.fleet import run_fleet, until_feed


def market(last: date = date(1990, 6, 1)) -> MarketDataSettings:
    return MarketDataSettings(start_date=date(1990, 1, 1), end_date=last, speed=0)


async def record_bus(transport: Transport, path: Path, follow: asyncio.Event | None = None) -> Summary:
    with ContainerWriter(path) as writer:
        header = Header(0, "test", "a test", list(READERS))
        return await record(transport, writer, header, REGISTRY.streams(), follow=follow)


@cache
def recording_path() -> Path:
    """A recording of five months, made while the fleet runs, from its first commit on."""
    folder = Path(tempfile.mkdtemp(prefix="nautilus-recording-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "run.nautilus"

    async def main() -> None:
        transport = MemoryTransport()

        async def work(process: Process) -> None:
            await until_feed(process, "finished")
            summary = await record_bus(transport, path)
            assert summary.gaps == []

        await run_fleet(transport, market(), folder / "var", work, snapshot_seconds=600.0)

    asyncio.run(main())
    return path
