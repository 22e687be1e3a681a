"""Workers on a bench: memory below them, a clock moved by hand, jobs that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from libs.clock import TestClock
from libs.contracts.system import EventDeadLettered
from libs.contracts.topics import DEAD_LETTER, JOB
from libs.messagebus import Codec, MemoryTransport, Publisher, RecordBatch, TopicRegistry
from libs.messagebus.transport import START, Output
from libs.messagebus.workers import Job, JobRoute, MemoryWorkQueue, Worker, WorkerSettings, job
from libs.testing.bus_topics import HALTED, TICKED, Ticked

TOPICS = [TICKED, HALTED, DEAD_LETTER, JOB]
REGISTRY = TopicRegistry.of(TOPICS)
CODEC = Codec(TOPICS)
NOW = 1_600_000_000_000_000_000
SECOND = 1_000_000_000

Scenario = Callable[["Bench"], Awaitable[None]]


@dataclass
class Script:
    """A handler and what it saw.

    Attributes:
        failing: By price, how often the job fails before it succeeds.
        hold: Prices whose jobs wait until they are let go.
        began: (price, attempt) in order.
        done: Prices in order.
        keys: Idempotency keys of what was done.
    """

    failing: dict[float, int] = field(default_factory=dict)
    hold: set[float] = field(default_factory=set)
    began: list[tuple[float, int]] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, work: Job[Ticked]) -> None:
        price = work.event.price
        self.began.append((price, work.attempt))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            while price in self.hold and not self.let_go.is_set():
                work.raise_if_cancelled()
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            if work.attempt <= self.failing.get(price, 0):
                raise ValueError(f"no {price}")
        finally:
            self.running -= 1
        self.done.append(price)
        self.keys.append(work.idempotency_key)


class Bench:
    """A bus and its workers."""

    def __init__(self) -> None:
        self.clock = TestClock(start_time_ns=NOW)
        self.memory = MemoryTransport()
        self.queue = MemoryWorkQueue(self.memory, self.clock)
        self.tasks: dict[Worker, asyncio.Task[None]] = {}
        self._sequence = 0

    def start(
        self, *routes: JobRoute[Any], group: str = "g", publisher: Publisher | None = None, **settings: Any
    ) -> Worker:
        worker = Worker(
            self.queue, CODEC, REGISTRY, group, routes, self.clock, settings=WorkerSettings(**settings),
            publisher=publisher,
        )  # fmt: skip
        self.tasks[worker] = asyncio.create_task(worker.run())
        return worker

    async def kill(self, worker: Worker) -> None:
        """End it without a word, as SIGKILL does."""
        task = self.tasks.pop(worker)
        task.cancel()
        await asyncio.wait([task])

    async def stop(self, worker: Worker) -> None:
        worker.stop()
        await self.tasks.pop(worker)

    async def publish(self, *prices: float, symbol: str = "X") -> None:
        """One record batch."""
        await self.publish_events(*(Ticked(NOW, symbol, price) for price in prices))

    async def publish_events(self, *events: Any, stream: str = TICKED.stream) -> None:
        batch = RecordBatch("p", self._sequence, self.clock.timestamp_ns(), list(events))
        await self.publish_bytes(CODEC.encode(batch), len(events), stream)

    async def publish_bytes(self, data: bytes, count: int = 1, stream: str = TICKED.stream) -> None:
        assert await self.memory.append("p", self._sequence, count, [Output(stream, data)])
        self._sequence += count

    async def until(self, holds: Callable[[], Any]) -> None:
        for _ in range(5_000):
            if holds():
                return
            await asyncio.sleep(0)
        raise AssertionError("what is waited for must come true, it did not")

    async def settle_down(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        self.clock.advance_time(int(seconds * SECOND))
        await self.settle_down()

    async def pending(self, group: str = "g", stream: str = TICKED.stream) -> int:
        return (await self.queue.backlog(stream, group)).pending

    async def letters(self) -> list[EventDeadLettered]:
        found = []
        for entry in await self.memory.read({DEAD_LETTER.stream: START}, 1000, 0):
            found += CODEC.decode(entry.data).events
        return found


def run(scenario: Scenario) -> None:
    async def main() -> None:
        bench = Bench()
        async with asyncio.timeout(20):
            await bench.memory.connect()
            await scenario(bench)
            for worker in list(bench.tasks):
                await bench.kill(worker)

    asyncio.run(main())


def ticks(script: Callable[[Job[Ticked]], Any], **options: Any) -> JobRoute[Ticked]:
    return job(TICKED, script, **options)
