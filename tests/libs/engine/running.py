"""A process run inside a test, with a client of its first surface."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx

from libs.clock import LiveClock
from libs.contracts.topics import CODEC
from libs.engine.component import Adapter, AdapterContext, Component
from libs.engine.process import Process
from libs.engine.settings import BusSettings, ProcessSettings
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import START
from tests.libs.engine.echo_engine import EchoEngine
from tests.libs.engine.echo_service import EchoSettings, router

SETTINGS = ProcessSettings(auth="off")


def component_of(adapter: Adapter | None = None, port: int = 0) -> Component:
    def adapters(context: AdapterContext) -> Sequence[Adapter]:
        return [adapter] if adapter else []

    return Component("echo", EchoEngine, port, router, adapters, settings=EchoSettings(port=port))


class Session:
    """A running process and a client of its first surface."""

    def __init__(self, process: Process, client: httpx.AsyncClient, transport: MemoryTransport) -> None:
        self.process = process
        self.client = client
        self.transport = transport

    async def published(self, stream: str) -> list[Event]:
        entries = await self.transport.read({stream: START}, 1000, 0)
        return [event for entry in entries for event in CODEC.decode(entry.data).events]

    async def until_well(self) -> None:
        """Healthy, and the fleet has been told that it runs."""

        async def is_well() -> bool:
            return (await self.client.get("/health")).status_code == 200 and bool(await self.published("system:high"))

        await self.until(is_well)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await condition():
                await asyncio.sleep(0.01)


def run_while(use: Callable[[Session], Awaitable[None]], process: Process, transport: MemoryTransport) -> None:
    """Use a process while it runs, then stop it; what it or the use raises is raised."""

    async def session() -> None:
        await process.started.wait()
        port = next(iter(process.members.values())).port
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            await use(Session(process, client, transport))

    async def main() -> None:
        running, using = asyncio.create_task(process.run()), asyncio.create_task(session())
        async with asyncio.timeout(20):
            await asyncio.wait({running, using}, return_when=asyncio.FIRST_COMPLETED)
            process.stop()
            if running.done():
                using.cancel()
            await asyncio.wait({running, using})
        await running
        if not using.cancelled():
            await using

    asyncio.run(main())


class LastingTransport(MemoryTransport):
    """Can be looked into after the process has closed it, as a server can."""

    async def close(self) -> None:
        pass


def process_of(component: Component, **options: Any) -> tuple[Process, MemoryTransport]:
    transport = LastingTransport()
    bus = BusSettings(heartbeat_seconds=0.05)
    return Process([component], SETTINGS, transport, LiveClock(), bus=bus, **options), transport
