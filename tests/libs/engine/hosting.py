"""Hosts of the echo engine over transports that fail, for tests."""

from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client import CollectorRegistry

from libs.clock import TestClock
from libs.contracts.orders import SignalGenerated
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.host import Host, HostSettings
from libs.engine.metrics import HostMetrics
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import START, Output, Transport
from tests.libs.engine.echo_engine import EchoEngine


def make_host(transport: Transport, engine: type[EchoEngine] = EchoEngine, **settings: Any) -> Host:
    chosen = HostSettings(**{"snapshot_seconds": 1e6} | settings)
    metrics = HostMetrics(CollectorRegistry(), "echo")
    return Host(engine, transport, TestClock(1_000), CODEC, REGISTRY, metrics, chosen)


async def put(transport: Transport, *events: Event, sequence: int, producer: str = "source") -> None:
    """Append one record batch; all events must be of one stream."""
    stream = REGISTRY.topic_of(events[0]).stream
    data = CODEC.encode(RecordBatch(producer, sequence, 0, list(events)))
    await transport.append(producer, sequence, len(events), [Output(stream, data)])


async def published(transport: MemoryTransport, stream: str) -> list[Event]:
    entries = await transport.read({stream: START}, 1_000_000, 0)
    return [event for entry in entries for event in CODEC.decode(entry.data).events]


async def strengths(transport: MemoryTransport) -> list[float]:
    events = await published(transport, "strategy:high")
    return [event.strength for event in events if isinstance(event, SignalGenerated)]


async def until_quiet(transport: MemoryTransport) -> None:
    for _ in range(3_000):
        if (await transport.quiescence(["echo"])).quiet:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the engine never became quiet")


async def killed(running: asyncio.Task[None]) -> None:
    """What kill -9 leaves behind: no drain, no snapshot, nothing flushed."""
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def stopped(host: Host, running: asyncio.Task[None]) -> None:
    host.stop()
    await running
