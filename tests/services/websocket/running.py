"""The real service in a real process object on a real port, over the memory transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from libs.clock import LiveClock
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.process import Process
from libs.engine.settings import BusSettings, ProcessSettings
from libs.engine.tailing import TailService
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import Output


@dataclass
class Running:
    """A process, its bus, and a client's HTTP session."""

    process: Process
    transport: MemoryTransport
    http: aiohttp.ClientSession
    sequence: int = 0

    def url(self, service: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.process.members[service].port}{path}"

    async def ask(self, method: str, service: str, path: str, **request: Any) -> tuple[int, Any]:
        """One HTTP request: status, and the body as JSON or text."""
        async with self.http.request(method, self.url(service, path), **request) as answer:
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, await answer.json(content_type=None) if is_json else await answer.text()

    def put(self, *events: Event) -> None:
        """Append the events, each stream's as one entry."""
        streams: dict[str, list[Event]] = {}
        for event in events:
            streams.setdefault(REGISTRY.topic_of(event).stream, []).append(event)
        for stream, part in streams.items():
            data = CODEC.encode(RecordBatch("test", self.sequence, 1, list(part)))
            self.transport.append_nowait("test", self.sequence, len(part), [Output(stream, data)])
            self.sequence += len(part)


@asynccontextmanager
async def running(services: Sequence[TailService], data_dir: Path, **process: Any) -> AsyncIterator[Running]:
    """Run ``services`` until the block ends."""
    transport = MemoryTransport()
    settings = ProcessSettings(data_dir=data_dir, **process)
    host = Process([], settings, transport, LiveClock(), services=services, bus=BusSettings(heartbeat_seconds=0.2))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(host.run())
        await host.started.wait()
        async with aiohttp.ClientSession() as http:
            try:
                yield Running(host, transport, http)
            finally:
                host.stop()
        await task


async def receive(socket: aiohttp.ClientWebSocketResponse, kind: str, count: int = 1) -> list[dict[str, Any]]:
    """The next ``count`` frames of a type, others dropped."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = await socket.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        frame = message.json()
        if frame["type"] == kind:
            found.append(frame)
    return found
