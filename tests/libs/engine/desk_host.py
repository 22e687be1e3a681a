"""A host view whose vitals a test sets, and a risk desk of a few lines on a memory bus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from libs.clock import LiveClock
from libs.contracts import topics
from libs.contracts.risk import HaltChanged, HaltTrading, ResumeTrading
from libs.contracts.system import EngineState
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.halts import HaltDesk, HaltWatch
from libs.engine.vitals import Change, Vitals
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.publisher import Publisher
from libs.messagebus.transport import START, Commit, Output


class SetHost:
    """A :class:`~libs.engine.health.HostView` that is what the test says."""

    name = "features"
    instance = "features-1"
    version = "1.0.0+0000000000/py3.11"
    role = "sequenced"

    def __init__(self, vitals: Vitals) -> None:
        self.now = vitals
        self.asked: list[tuple[str, str, str]] = []

    def sample(self) -> EngineState:
        return self.now.state

    def vitals(self) -> Vitals:
        return self.now

    def counters(self) -> Mapping[str, Any]:
        return {"bars": 3, "spread": float("nan")}

    def clock_ns(self) -> int:
        return 42

    async def pause(self, actor: str, reason: str) -> Change:
        return self._change("pause", actor, reason)

    async def resume(self, actor: str, reason: str) -> Change:
        return self._change("resume", actor, reason)

    async def snapshot(self, actor: str, reason: str) -> Change:
        return self._change("snapshot", actor, reason)

    def _change(self, what: str, actor: str, reason: str) -> Change:
        self.asked.append((what, actor, reason))
        return Change("running", "paused", actor, reason, 1_000_000_000, "p:1")


class RiskDesk:
    """Reads the inbox of risk, publishes what ``obeys`` decides, commits: the least a risk engine does."""

    def __init__(self, obeys: bool = True, reading_seconds: float = 1.0) -> None:
        self.transport = MemoryTransport()
        self.halts = HaltWatch()
        self.commands: list[HaltTrading | ResumeTrading] = []
        self._obeys = obeys
        clock = LiveClock()
        self.publisher = Publisher(self.transport, CODEC, REGISTRY, "surface-1", clock)
        self.desk = HaltDesk(self.publisher, self.transport, self.halts, 5.0, reading_seconds)

    async def run(self) -> None:
        """Serve until cancelled."""
        stream = topics.HALT_TRADING.stream
        lease = await self.transport.acquire("risk", [stream])
        position, number = START, 0
        while True:
            for entry in await self.transport.read({stream: position}, 10, 1000):
                events = [self._decide(command) for command in CODEC.decode(entry.data).events]
                batch = RecordBatch("risk", number, 0, events)
                outputs = [Output(topics.HALT.stream, CODEC.encode(batch))] if self._obeys else []
                number, position = number + 1, entry.entry_id
                await self.transport.commit(Commit("risk", lease.epoch, number, {stream: position}, outputs, b""))
                for event in events if self._obeys else []:
                    self.halts.note(event)

    def _decide(self, command: HaltTrading | ResumeTrading) -> HaltChanged:
        self.commands.append(command)
        halted = isinstance(command, HaltTrading)
        return HaltChanged(command.ts_event, halted, command.scope, command.target, command.reason, command.actor)


async def serving(risk: RiskDesk) -> asyncio.Task[None]:
    """Start the desk; cancel the task at the end."""
    await risk.transport.connect()
    return asyncio.create_task(risk.run())
