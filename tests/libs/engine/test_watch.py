"""Heartbeats and halts over the bus: who is heard, what is in force, and what a request for a halt may claim."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from libs.contracts import topics
from libs.contracts.risk import HaltChanged, HaltTrading
from libs.contracts.system import HeartbeatSent
from libs.contracts.topics import CODEC
from libs.engine.errors import CommandRefused
from libs.engine.halts import HaltDesk, HaltWatch
from libs.engine.heartbeat import HeartbeatSender
from libs.engine.vitals import Halt
from libs.engine.watch import BusWatch
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import TransportError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import Output
from tests.libs.engine.desk_host import RiskDesk, serving


def _halt(halted: bool, scope: Any = "all", target: str = "") -> HaltChanged:
    return HaltChanged(1, halted, scope, target, "drill", "ann")


async def _put(transport: MemoryTransport, sequence: int, *events: HaltChanged | HeartbeatSent) -> None:
    topic = topics.HALT if isinstance(events[0], HaltChanged) else topics.HEARTBEAT
    data = CODEC.encode(RecordBatch("risk", sequence, 0, list(events)))
    await transport.append(f"p{sequence}", sequence, len(events), [Output(topic.stream, data)])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def _watching(transport: MemoryTransport, use: Callable[[BusWatch], Awaitable[None]]) -> None:
    async def main() -> None:
        await transport.connect()
        watch = BusWatch(transport, CODEC)
        task = asyncio.create_task(watch.run())
        try:
            await use(watch)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_halts_of_before_the_start_are_in_force_and_releases_end_them() -> None:
    transport = MemoryTransport()

    async def use(watch: BusWatch) -> None:
        await _until(lambda: len(watch.halts.in_force()) == 2)
        assert watch.halts.in_force() == (Halt("all", "", "drill", "ann"), Halt("symbol", "B.X", "drill", "ann"))
        await _put(transport, 9, _halt(False))
        await _until(lambda: len(watch.halts.in_force()) == 1)
        assert not watch.halts.holds("all", "")
        assert watch.halts.holds("symbol", "B.X")

    async def earlier() -> None:
        await _put(transport, 0, _halt(True, "symbol", "A.X"), _halt(True, "symbol", "B.X"))
        await _put(transport, 2, _halt(False, "symbol", "A.X"), _halt(True))

    asyncio.run(earlier())
    _watching(transport, use)


def test_a_long_history_of_halts_is_read_page_by_page() -> None:
    transport = MemoryTransport()

    async def earlier() -> None:
        for number in range(600):
            await _put(transport, number, _halt(True, "symbol", f"S{number:03d}.X"))

    async def use(watch: BusWatch) -> None:
        await _until(lambda: len(watch.halts.in_force()) == 600)

    asyncio.run(earlier())
    _watching(transport, use)


def test_heartbeats_of_before_the_start_are_not_signs_of_life() -> None:
    transport = MemoryTransport()
    beat = HeartbeatSent(1, "features", "features-1", 1, "0", "running", 0, 8500)

    async def use(watch: BusWatch) -> None:
        await _put(transport, 5, _halt(True))
        await _until(lambda: watch.halts.holds("all", ""))  # by now it reads
        assert [fact.age_seconds for fact in watch.heartbeats.upstreams(["features"])] == [None]
        await _put(transport, 1, beat)
        await _until(lambda: watch.heartbeats.upstreams(["features"])[0].age_seconds is not None)
        facts = watch.heartbeats.upstreams(["factor", "features"])
        assert [fact.engine for fact in facts] == ["factor", "features"]
        assert facts[0].age_seconds is None
        assert facts[1].age_seconds is not None
        assert 0 <= facts[1].age_seconds < 5

    async def earlier() -> None:
        await _put(transport, 0, beat)

    asyncio.run(earlier())
    _watching(transport, use)


def test_an_undecodable_entry_is_passed_over() -> None:
    transport = MemoryTransport()

    async def earlier() -> None:
        await transport.append("x", 0, 1, [Output(topics.HALT.stream, b"\xff")])
        await _put(transport, 0, _halt(True))

    async def use(watch: BusWatch) -> None:
        await _until(lambda: watch.halts.holds("all", ""))

    asyncio.run(earlier())
    _watching(transport, use)


class _LossyTransport(MemoryTransport):
    """Loses every second write, as a network does."""

    writes = 0

    async def append(self, *arguments: Any) -> bool:
        self.writes += 1
        if self.writes % 2:
            raise TransportError("lost")
        return await super().append(*arguments)


def test_a_lost_heartbeat_is_followed_by_the_next_and_never_sent_late() -> None:
    transport = _LossyTransport()
    sent: list[int] = []

    def beats() -> list[HeartbeatSent]:
        sent.append(len(sent))
        return [HeartbeatSent(sent[-1], "features", "i", 1, "0", "running", 0, 1)]

    async def main() -> None:
        await transport.connect()
        task = asyncio.create_task(HeartbeatSender(transport, CODEC, "i-heartbeat", beats, 0.0).run())
        await _until(lambda: len(sent) >= 6)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        entries = await transport.read({topics.HEARTBEAT.stream: "0-0"}, 100, 0)
        stamps = [event.ts_event for entry in entries for event in CODEC.decode(entry.data).events]
        assert stamps[:2] == [1, 3]

    asyncio.run(main())


def test_a_halt_that_risk_refuses_is_not_claimed() -> None:
    async def main() -> None:
        risk = RiskDesk(obeys=False, reading_seconds=0.05)
        running = await serving(risk)
        with pytest.raises(CommandRefused, match="did not halt all") as caught:
            await risk.desk.send(HaltTrading(1, "all", "", "drill", "ann"))
        assert (caught.value.status, caught.value.code) == (409, "halt-refused")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await risk.publisher.close()

    asyncio.run(main())


def test_a_halt_without_risk_says_that_it_may_still_happen() -> None:
    async def main() -> None:
        risk = RiskDesk()
        await risk.transport.connect()
        desk = HaltDesk(risk.publisher, risk.transport, HaltWatch(), timeout_seconds=0.05)
        with pytest.raises(CommandRefused, match="it may still do so") as caught:
            await desk.send(HaltTrading(1, "all", "", "drill", "ann"))
        assert (caught.value.status, caught.value.code) == (503, "not-ready")
        await risk.publisher.close()

    asyncio.run(main())
