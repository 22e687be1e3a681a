"""Tail readers over memory: where they begin, what they skip, what they survive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.messagebus import EventEnvelope, MemoryTransport, RecordBatch, Topic, TopicError
from libs.messagebus.envelope import Input
from libs.messagebus.tail import TailReader
from libs.messagebus.transport import Output, entry_before, entry_order
from libs.testing.bus_topics import CODEC, HALTED, NOTED, REGISTRY, TICKED, Halted, Noted, Ticked
from libs.testing.faulty_transport import FaultyTransport

TS = 1_600_000_000_000_000_000


class Bus:
    """A bus with a numbered producer."""

    def __init__(self) -> None:
        self.memory = MemoryTransport()
        self.transport = FaultyTransport(self.memory)
        self.waits: list[float] = []
        self._appends = 0

    async def put(self, stream: str, data: bytes) -> None:
        self._appends += 1
        await self.memory.append("raw", self._appends, 1, [Output(stream, data)])

    async def tick(self, *prices: float) -> None:
        events = [Ticked(TS, "X", price) for price in prices]
        await self.put(TICKED.stream, CODEC.encode(RecordBatch("p", int(prices[0]), TS, events)))

    def tail(self, *topics: object, **options: object) -> TailReader:
        wanted = topics or (TICKED,)
        return TailReader(self.transport, CODEC, REGISTRY, wanted, sleep=self._sleep, **options)  # type: ignore[arg-type]

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


def run(scenario: Callable[[Bus], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            await scenario(Bus())

    asyncio.run(main())


async def take(tail: TailReader, count: int, then: Callable[[], Awaitable[None]] | None = None) -> list[EventEnvelope]:
    """The next ``count`` envelopes; ``then`` runs when the reader waits for its first."""
    events = aiter(tail)
    first = asyncio.ensure_future(anext(events))
    if then is not None:
        for _ in range(5):
            await asyncio.sleep(0)
        await then()
    found = [await first, *[await anext(events) for _ in range(count - 1)]]
    await events.aclose()  # type: ignore[attr-defined]
    return found


def prices(envelopes: list[EventEnvelope]) -> list[float]:
    return [envelope.event.price for envelope in envelopes if isinstance(envelope.event, Ticked)]


def test_begins_with_what_comes_after_it_looked() -> None:
    async def scenario(bus: Bus) -> None:
        await bus.tick(1)
        assert prices(await take(bus.tail(), 2, lambda: bus.tick(2, 3))) == [2, 3]

    run(scenario)


def test_begins_at_the_oldest_or_after_a_given_entry() -> None:
    async def scenario(bus: Bus) -> None:
        for price in range(6):
            await bus.tick(price)
        tail = bus.tail(from_start=True)
        assert prices(await take(tail, 6)) == [0, 1, 2, 3, 4, 5]
        assert tail.positions == await bus.memory.tails([TICKED.stream])
        assert prices(await take(bus.tail(positions={TICKED.stream: "4-0"}), 2)) == [4, 5]
        await bus.memory.trim({TICKED.stream: 2})
        trimmed = bus.tail(from_start=True)
        assert prices(await take(trimmed, 2)) == [4, 5]
        assert trimmed.gaps == 0

    run(scenario)


def test_gives_only_wanted_topics_with_their_ids() -> None:
    async def scenario(bus: Bus) -> None:
        caused = RecordBatch("engine", 40, TS + 5, [Ticked(TS, "X", 1.0), Ticked(TS, "Y", 2.0)],
                             [Input("feed-1", 7, 3)], [2, -1], ["feed-0:9", ""])  # fmt: skip
        await bus.put(NOTED.stream, CODEC.encode(RecordBatch("p", 0, TS, [Noted(TS, "unwanted")])))
        await bus.put(TICKED.stream, CODEC.encode(caused))
        await bus.put(HALTED.stream, CODEC.encode(RecordBatch("p", 1, TS, [Halted(TS, "h")])))
        first, second, third = await take(bus.tail(TICKED, HALTED, from_start=True), 3)
        assert first.topic == "test.halted"  # the urgent stream is served first
        run_of = [
            (e.topic, e.event_id, e.causation_id, e.correlation_id, e.index, e.ts_publish) for e in (second, third)
        ]
        assert run_of == [
            ("test.ticked", "engine:40", "feed-1:9", "feed-0:9", 0, TS + 5),
            ("test.ticked", "engine:41", "", "engine:41", 1, TS + 5),
        ]

    run(scenario)


def test_skips_and_counts_what_cannot_be_decoded() -> None:
    async def scenario(bus: Bus) -> None:
        good = CODEC.encode(RecordBatch("p", 0, TS, [Ticked(TS, "X", 1.0), Ticked(TS, "X", 2.0), Ticked(TS, "X", 3.0)]))
        broken = good.replace(b"test.ticked.v1", b"test.tickle.v1", 2).replace(b"test.tickle.v1", b"test.ticked.v1", 1)
        for data in (b"\xc1 no msgpack", broken, good):
            await bus.put(TICKED.stream, data)
        tail = bus.tail(from_start=True)
        assert prices(await take(tail, 5)) == [1, 3, 1, 2, 3]
        assert tail.bad_events == 2

    run(scenario)


def test_survives_a_bus_that_goes_away() -> None:
    async def scenario(bus: Bus) -> None:
        bus.transport.fail("read_range", "refused")
        bus.transport.fail("read", "refused", None, "reply_lost", "refused", "refused")
        for price in range(3):
            await bus.tick(price)
        tail = bus.tail(from_start=True)
        found = prices(await take(tail, 4, lambda: bus.tick(3)))
        assert found == [0, 1, 2, 3]
        assert tail.errors == len(bus.waits) == 5
        # The first failures are 0.1 s apart at least; after a success the count begins anew.
        assert bus.waits[0] == 0.1
        assert bus.waits[0] < bus.waits[1] <= 0.2
        assert bus.waits[2:] == [0.1, bus.waits[1], bus.waits[4]]
        assert 0.2 <= bus.waits[4] <= 0.4

    run(scenario)


def test_begins_at_the_newest_of_when_the_bus_came_back() -> None:
    async def scenario(bus: Bus) -> None:
        bus.transport.fail("tails", "refused", "reply_lost")
        await bus.tick(1)
        assert prices(await take(bus.tail(), 1, lambda: bus.tick(2))) == [2]
        assert len(bus.waits) == 2

    run(scenario)


def test_goes_on_after_entries_were_trimmed_under_it() -> None:
    async def scenario(bus: Bus) -> None:
        for price in range(9):
            await bus.tick(price)
        await bus.memory.trim({TICKED.stream: 3})
        tail = bus.tail(positions={TICKED.stream: "2-0"})
        assert prices(await take(tail, 3)) == [6, 7, 8]
        assert tail.gaps == 1
        await bus.memory.trim({TICKED.stream: 0})
        empty = bus.tail(positions={TICKED.stream: "2-0"})
        assert prices(await take(empty, 1, lambda: bus.tick(9))) == [9]
        assert empty.gaps == 1

    run(scenario)


def test_refuses_no_topics_and_foreign_ones() -> None:
    bus = Bus()
    with pytest.raises(ValueError, match="at least one"):
        TailReader(bus.memory, CODEC, REGISTRY, [])
    foreign = Topic("test.foreign", Halted, "ticks", "tester")
    with pytest.raises(TopicError, match=r"'test\.foreign'"):
        bus.tail(foreign)


@pytest.mark.parametrize(("entry_id", "before"), [("7-3", "7-2"), ("7-0", f"6-{2**64 - 1}"), ("0-1", "0-0")])
def test_the_id_before_is_the_largest_below(entry_id: str, before: str) -> None:
    assert entry_before(entry_id) == before
    assert entry_order(before) < entry_order(entry_id)
