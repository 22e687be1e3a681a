"""The mirror between two fleets: names, causes, and each event once, whatever fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.messagebus import FencedError, MemoryTransport, TrimmedError
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.mirror import Mirror, SourceLostError
from libs.messagebus.relay import Relay, RelayJournalError
from libs.messagebus.transport import START, Output
from libs.testing.bus_topics import CODEC, TICKED, Ticked
from libs.testing.faulty_transport import FaultyTransport

FAULTS = st.lists(st.sampled_from([None, "refused", "reply_lost"]), max_size=6)


class Kept(FaultyTransport):
    """Outlives the relays that close it, as a server does; ``inner`` may be changed, as by a failover."""

    async def close(self) -> None:
        pass


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


def relay_of(source: Any, target: Any, topics: Any = (TICKED,), name: str = "mirror:east", **options: Any) -> Relay:
    mirror = Mirror(source, topics, "east", **options)
    return Relay(name, mirror, lambda: target, snapshot_every=3, sleep=at_once)


async def publish(bus: Any, *prices: float, producer: str = "source") -> None:
    for price in prices:
        data = CODEC.encode(RecordBatch(producer, int(price), 7, [Ticked(int(price), "X", price)]))
        await bus.append(producer, int(price), 1, [Output(TICKED.stream, data)])


async def read_all(bus: Any, stream: str = TICKED.stream) -> list[RecordBatch]:
    return [CODEC.decode(entry.data) for entry in await bus.read({stream: START}, 100_000, 0)]


async def prices(bus: Any) -> list[float]:
    return [event.price for batch in await read_all(bus) for event in batch.events]


async def until(condition: Callable[[], Awaitable[bool]], running: asyncio.Future[Any]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            assert not running.done(), running
            await asyncio.sleep(0)


async def carry(relay: Relay, target: Any, expected: int) -> None:
    """Run until the target holds so many events, then stop."""
    running = asyncio.ensure_future(relay.run())

    async def arrived() -> bool:
        return len(await prices(getattr(target, "inner", target))) >= expected

    await until(arrived, running)
    await stop(running)


async def stop(running: asyncio.Future[Any]) -> None:
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(main())


def test_two_cells_that_mirror_each_other_make_no_loop() -> None:
    async def scenario() -> None:
        east, west = Kept(MemoryTransport()), Kept(MemoryTransport())
        await publish(east, 1, 2)
        await publish(west, 3)
        there = relay_of(east, west)
        back = Relay("mirror:west", Mirror(west, [TICKED], "west"), lambda: east, sleep=at_once)
        running = asyncio.gather(there.run(), back.run())

        async def both() -> bool:
            return sorted(await prices(east)) == sorted(await prices(west)) == [1, 2, 3]

        await until(both, running)
        await publish(east, 4)

        async def again() -> bool:
            return 4 in await prices(west)

        await until(again, running)
        for _ in range(20):
            await asyncio.sleep(0)
        await stop(running)
        assert sorted(await prices(east)) == sorted(await prices(west)) == [1, 2, 3, 4]

    run(scenario)


@settings(deadline=None, max_examples=60)
@given(read=FAULTS, commit=FAULTS, acquire=FAULTS, stops=st.lists(st.integers(1, 30), max_size=3))
def test_each_event_arrives_once_and_in_order_whatever_fails(
    read: list[Any], commit: list[Any], acquire: list[Any], stops: list[int]
) -> None:
    async def scenario() -> None:
        inner, memory = MemoryTransport(), MemoryTransport()
        source, target = FaultyTransport(inner), Kept(memory)
        source.fail("read", *read)
        target.fail("commit", *commit)
        target.fail("acquire", *acquire)
        await publish(inner, *range(30))
        for stop in sorted(stops):
            await carry(relay_of(source, target), target, stop)
        await publish(inner, *range(30, 40))
        await carry(relay_of(source, target), target, 40)
        assert await prices(memory) == list(range(40))

    run(scenario)


def test_a_second_bridge_of_the_same_name_fences_the_first() -> None:
    async def scenario() -> None:
        source, target = MemoryTransport(), Kept(MemoryTransport())
        await publish(source, 1)
        first = asyncio.ensure_future(relay_of(source, target).run())

        async def arrived() -> bool:
            return await prices(target) == [1]

        await until(arrived, first)
        await target.acquire("mirror:east", [])
        await publish(source, 2)
        with pytest.raises(FencedError):
            await first
        assert await prices(target) == [1]

    run(scenario)


def test_only_what_is_new_and_that_from_the_first_start_on() -> None:
    async def scenario() -> None:
        source, target = MemoryTransport(), Kept(MemoryTransport())
        await publish(source, 1, 2)
        relay = relay_of(source, target, from_newest=True)
        running = asyncio.ensure_future(relay.run())

        async def begun() -> bool:
            return relay.commits == 1

        await until(begun, running)
        await stop(running)
        await publish(source, 3, 4)  # while no bridge runs
        await carry(relay_of(source, target, from_newest=True), target, 2)
        assert await prices(target) == [3, 4]

    run(scenario)


def test_a_target_that_lost_commits_gets_them_again() -> None:
    async def scenario() -> None:
        source, primary, replica = MemoryTransport(), MemoryTransport(), MemoryTransport()
        await publish(source, 1, 2)
        for one in (primary, replica):
            await carry(relay_of(source, Kept(one)), one, 2)
        await replica.acquire("mirror:east", [])  # the next start, as the replica heard of it; the last it hears
        target = Kept(primary)
        relay = relay_of(source, target)
        running = asyncio.ensure_future(relay.run())
        await publish(source, 3)

        async def arrived() -> bool:
            return await prices(primary) == [1, 2, 3]

        await until(arrived, running)
        target.inner = replica
        await publish(source, 4)

        async def repaired() -> bool:
            return await prices(replica) == [1, 2, 3, 4]

        await until(repaired, running)
        assert relay.losses == 1
        await stop(running)

    run(scenario)


def test_a_source_that_lost_what_was_mirrored_is_noticed_and_can_be_accepted() -> None:
    async def scenario() -> None:
        source, target = MemoryTransport(), Kept(MemoryTransport())
        await publish(source, 1, 2, 3)
        await carry(relay_of(source, target), target, 3)
        replica = MemoryTransport()
        await publish(replica, 1, 2)
        with pytest.raises(SourceLostError, match="entry 3-0 of stream 'ticks:normal' must still be in the source"):
            await relay_of(replica, target).run()
        for price in (7, 8):
            await publish(replica, price)
        await carry(relay_of(replica, target, accept_loss=True), target, 4)
        assert await prices(target) == [1, 2, 3, 8]  # 7 took the place of what was lost; docs/scale.md says so

    run(scenario)


def test_what_was_trimmed_before_it_was_mirrored_is_an_error() -> None:
    async def scenario() -> None:
        source, target = MemoryTransport(), Kept(MemoryTransport())
        await publish(source, 1, 2, 3)
        await carry(relay_of(source, target), target, 3)
        await source.trim({TICKED.stream: 0})
        await carry(relay_of(source, target), target, 3)  # all of it had been mirrored
        await publish(source, 4, 5, 6)
        await source.trim({TICKED.stream: 1})
        with pytest.raises(TrimmedError):
            await relay_of(source, target).run()

    run(scenario)


def test_a_hole_in_the_journal_is_no_guess() -> None:
    async def scenario() -> None:
        source, target = MemoryTransport(), Kept(MemoryTransport())
        await publish(source, 1, 2)
        await carry(relay_of(source, target), target, 2)
        hidden = Kept(target)

        async def nothing(reader: str, after: int, count: int) -> list[tuple[int, bytes]]:
            return []

        hidden.journal = nothing  # type: ignore[method-assign]
        with pytest.raises(RelayJournalError, match="must go on at commit 1, was at its end"):
            await relay_of(source, hidden).run()

    run(scenario)
