"""The host over the memory transport: exactly-once effects, recovery, fencing, priorities, pausing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from libs.clock import TestClock
from libs.contracts.orders import SignalGenerated
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.errors import CommandRefused, DeterminismError
from libs.engine.host import Host, HostSettings
from libs.engine.metrics import HostMetrics
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import FencedError, TransportError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import Commit, Output
from tests.libs.engine.echo_engine import EchoEngine, cash, trade

Scenario = Callable[[MemoryTransport], Awaitable[None]]


def make_host(transport: Any, engine: type[EchoEngine] = EchoEngine, **settings: Any) -> Host:
    metrics = HostMetrics(CollectorRegistry(), "echo")
    return Host(engine, transport, TestClock(1_000), CODEC, REGISTRY, metrics, HostSettings(**settings))


async def put(transport: MemoryTransport, *events: Event, producer: str = "source", sequence: int) -> None:
    stream = REGISTRY.topic_of(events[0]).stream
    batch = RecordBatch(producer, sequence, 0, list(events))
    await transport.append(producer, sequence, len(events), [Output(stream, CODEC.encode(batch))])


async def signals(transport: MemoryTransport) -> list[SignalGenerated]:
    entries = await transport.read({"strategy:high": "0-0"}, 10_000, 0)
    return [event for entry in entries for event in CODEC.decode(entry.data).events]


async def until_quiet(transport: MemoryTransport) -> None:
    async with asyncio.timeout(5):
        while not (await transport.quiescence(["echo"])).quiet:
            await asyncio.sleep(0)


async def stopped(host: Host, running: asyncio.Task[None]) -> None:
    host.stop()
    async with asyncio.timeout(5):
        await running


def run(scenario: Scenario) -> None:
    async def main() -> None:
        transport = MemoryTransport()
        await transport.connect()
        await scenario(transport)

    asyncio.run(main())


def test_what_is_read_is_handled_committed_and_published_once() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        for index in range(10):
            await put(transport, trade(index), sequence=index)
        await until_quiet(transport)
        await stopped(host, running)
        assert [signal.strength for signal in await signals(transport)] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        assert host.state == "stopped"
        assert host.committer.positions["market:normal"] == "10-0"

    run(scenario)


def test_a_stopped_host_goes_on_where_it_was() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        for start in (0, 5):
            host = make_host(transport)
            running = asyncio.create_task(host.run())
            for index in range(start, start + 5):
                await put(transport, trade(index), sequence=index)
            await until_quiet(transport)
            await stopped(host, running)
        assert [signal.strength for signal in await signals(transport)] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]

    run(scenario)


@pytest.mark.parametrize("snapshot_after", [None, 3])
def test_a_killed_host_replays_its_journal_and_doubles_nothing(snapshot_after: int | None) -> None:
    async def scenario(transport: MemoryTransport) -> None:
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        for index in range(7):
            await put(transport, trade(index), sequence=index)
            await until_quiet(transport)
            if index == snapshot_after:
                await host.snapshot_now()
        running.cancel()  # no drain, no snapshot: what kill -9 leaves behind
        with pytest.raises(asyncio.CancelledError):
            await running
        before = host.core.encode_state()
        again = make_host(transport)
        running = asyncio.create_task(again.run())
        await put(transport, trade(7), sequence=7)
        await until_quiet(transport)
        assert again.replayed == (8 if snapshot_after is None else 3)
        assert before != again.core.encode_state()
        assert [signal.strength for signal in await signals(transport)] == [0.0, 2.0, 4.0, 6.0, 8.0]
        await stopped(again, running)

    run(scenario)


def test_a_replay_that_differs_stops_the_engine() -> None:
    class Changed(EchoEngine):
        def on_trade(self, event: Any) -> None:
            self._outbox.publish(SignalGenerated(event.ts_event, "echo", event.symbol, "sell", 1.0, "other code"))

    async def scenario(transport: MemoryTransport) -> None:
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        await put(transport, trade(1), trade(2), sequence=0)
        await until_quiet(transport)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with pytest.raises(DeterminismError, match=r"commit 2 of 'echo' must publish again"):
            await make_host(transport, Changed).run()

    run(scenario)


def test_a_second_host_fences_out_the_first() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        first, second = make_host(transport), make_host(transport)
        running = asyncio.create_task(first.run())
        await until_quiet(transport)
        other = asyncio.create_task(second.run())
        while second.state != "running":
            await asyncio.sleep(0)
        await put(transport, trade(1), trade(2), sequence=0)
        with pytest.raises(FencedError, match="another host of this engine took over"):
            await running
        await until_quiet(transport)
        await stopped(second, other)
        assert [signal.strength for signal in await signals(transport)] == [0.0, 2.0]

    run(scenario)


def test_a_commit_whose_reply_is_lost_lands_once() -> None:
    class Forgetful(MemoryTransport):
        failures = 3

        async def commit(self, commit: Commit) -> None:
            await super().commit(commit)
            if self.failures:
                self.failures -= 1
                raise TransportError("connection reset by peer")

    async def main() -> None:
        transport = Forgetful()
        await transport.connect()
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        await put(transport, trade(1), trade(2), sequence=0)
        await until_quiet(transport)
        await stopped(host, running)
        assert [signal.strength for signal in await signals(transport)] == [0.0, 2.0]

    asyncio.run(main())


def test_commands_are_answered_after_their_commit() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        await put(transport, cash(1, "5", "a"), cash(2, "-9", "b"), sequence=0)
        assert await host.replies.wait_for("source:0", 5) == {"balance": "5"}
        refused = await host.replies.wait_for("source:1", 5)
        assert isinstance(refused, CommandRefused)
        assert (await transport.tails(["portfolio:high"]))["portfolio:high"] == "1-0"
        await stopped(host, running)

    run(scenario)


def test_a_paused_host_takes_nothing_but_still_takes_snapshots() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        await until_quiet(transport)
        host.pause()
        await asyncio.sleep(0)
        await put(transport, trade(1), trade(2), sequence=0)
        assert await asyncio.wait_for(host.snapshot_now(), 5) == 1
        assert not (await transport.quiescence(["echo"])).quiet
        host.resume()
        await until_quiet(transport)
        await stopped(host, running)
        assert [signal.strength for signal in await signals(transport)] == [0.0, 2.0]

    run(scenario)
