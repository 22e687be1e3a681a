"""A publisher on a bench: memory below it, faults on demand, waits recorded instead of waited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from libs.clock import TestClock
from libs.messagebus import MemoryTransport, Publisher, RecordBatch
from libs.messagebus.transport import START
from libs.testing.bus_topics import CODEC, REGISTRY, TICKED, Ticked
from libs.testing.faulty_transport import FaultyTransport

NOW = 1_600_000_000_000_000_000
Scenario = Callable[["Bench"], Awaitable[None]]


class Bench:
    """A publisher, the transport under it, and the waits it asked for."""

    def __init__(self, **options: Any) -> None:
        self.memory = MemoryTransport()
        self.transport = FaultyTransport(self.memory)
        self.waits: list[float] = []
        self.publisher = Publisher(
            self.transport, CODEC, REGISTRY, "tester-1", TestClock(start_time_ns=NOW), sleep=self._sleep, **options
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    async def batches(self, stream: str = TICKED.stream) -> list[RecordBatch]:
        return [CODEC.decode(entry.data) for entry in await self.memory.read({stream: START}, 10_000, 0)]

    async def prices(self) -> list[float]:
        return [event.price for batch in await self.batches() for event in batch.events]


def run(scenario: Scenario, **options: Any) -> None:
    async def main() -> None:
        bench = Bench(**options)
        async with asyncio.timeout(20):
            await scenario(bench)
            await bench.publisher.close()

    asyncio.run(main())


def tick(price: float) -> Ticked:
    return Ticked(NOW, "AAPL.XNAS", price)


async def let_it_work() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
