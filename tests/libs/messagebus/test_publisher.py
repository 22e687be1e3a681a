"""The publisher over memory with injected faults: batching, bounds, resending, ids."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from libs.clock import TestClock
from libs.messagebus import (
    BufferFullError,
    EntryTooLargeError,
    Event,
    MemoryTransport,
    Publisher,
    PublisherClosedError,
    PublishError,
    RecordBatch,
    TopicError,
    TransportError,
    new_incarnation,
)
from libs.messagebus.codec import MAX_ENTRY_BYTES
from libs.messagebus.transport import START
from libs.testing.bus_topics import CODEC, HALTED, NOTED, REGISTRY, TICKED, Halted, Noted, Ticked
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


def test_events_that_arrive_during_a_write_form_the_next_batch() -> None:
    async def scenario(bench: Bench) -> None:
        bench.transport.open.clear()
        bench.publisher.publish(tick(0))
        await let_it_work()
        for price in range(1, 8):
            bench.publisher.publish(tick(price))
            await let_it_work()
        assert bench.transport.calls["append"] == 1
        bench.transport.open.set()
        await bench.publisher.flush()
        batches = await bench.batches()
        assert [len(batch.events) for batch in batches] == [1, 7]
        assert [batch.sequence for batch in batches] == [0, 1]
        assert {batch.ts_publish for batch in batches} == {NOW}
        assert await bench.prices() == list(range(8))
        assert bench.publisher.statistics().batches == 2

    run(scenario)


def test_a_batch_is_at_most_max_batch_events() -> None:
    async def scenario(bench: Bench) -> None:
        for price in range(25):
            bench.publisher.publish(tick(price))
        await bench.publisher.flush()
        assert [len(batch.events) for batch in await bench.batches()] == [10, 10, 5]
        assert await bench.prices() == list(range(25))

    run(scenario, max_batch=10)


def test_one_append_carries_all_streams_with_contiguous_numbers_in_each_batch() -> None:
    async def scenario(bench: Bench) -> None:
        for event in (tick(1), Noted(NOW, "a"), tick(2), Halted(NOW, "h"), Noted(NOW, "b")):
            bench.publisher.publish(event)
        await bench.publisher.flush()
        assert bench.transport.calls["append"] == 1
        found = {
            topic.stream: [(batch.sequence, batch.events) for batch in await bench.batches(topic.stream)]
            for topic in (TICKED, NOTED, HALTED)
        }
        assert found == {
            TICKED.stream: [(0, [tick(1), tick(2)])],
            NOTED.stream: [(2, [Noted(NOW, "a"), Noted(NOW, "b")])],
            HALTED.stream: [(4, [Halted(NOW, "h")])],
        }
        assert await bench.publisher.publish_confirmed(tick(3)) == "tester-1:5"

    run(scenario)


@pytest.mark.parametrize("fault", ["refused", "reply_lost"])
def test_a_failed_write_is_repeated_and_lands_once(fault: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.transport.fail("append", None, fault, fault, fault, None, fault)
        for price in range(40):
            await bench.publisher.publish_wait(tick(price))
        await bench.publisher.flush()
        assert await bench.prices() == list(range(40))
        ids = [batch.event_id(i) for batch in await bench.batches() for i in range(len(batch.events))]
        assert ids == [f"tester-1:{number}" for number in range(40)]
        statistics = bench.publisher.statistics()
        assert (statistics.published, statistics.retries, statistics.buffered) == (40, 4, 0)
        assert "injected" in statistics.last_error

    run(scenario, max_batch=10, max_buffer=10)


def test_waits_grow_to_a_minute_and_are_the_same_in_every_run() -> None:
    seen: list[list[float]] = []

    async def scenario(bench: Bench) -> None:
        bench.transport.fail("append", *["refused"] * 12)
        await bench.publisher.publish_confirmed(tick(1))
        seen.append(bench.waits)

    run(scenario)
    run(scenario)
    first, second = seen
    assert first == second
    assert len(set(first)) == 12
    for attempt, wait in enumerate(first):
        bound = min(60.0, 2.0**attempt)
        assert max(1.0, bound / 2) <= wait <= bound
    assert first[-1] > 30


def test_full_buffer_fails_where_nobody_waits() -> None:
    async def scenario(bench: Bench) -> None:
        bench.transport.open.clear()
        for price in range(5):
            bench.publisher.publish(tick(price))
        with pytest.raises(BufferFullError, match="full with 5 events; publish slower"):
            bench.publisher.publish(tick(9))
        with pytest.raises(BufferFullError):
            await bench.publisher.publish_confirmed(tick(9))
        bench.transport.open.set()
        await bench.publisher.flush()
        assert await bench.prices() == list(range(5))

    run(scenario, max_buffer=5, full_policy="fail")


def test_full_buffer_makes_awaiting_callers_wait() -> None:
    async def scenario(bench: Bench) -> None:
        bench.transport.open.clear()
        for price in range(4):
            bench.publisher.publish(tick(price))
        with pytest.raises(BufferFullError, match="await publish_wait"):
            bench.publisher.publish(tick(9))
        waiting = [asyncio.create_task(bench.publisher.publish_wait(tick(price))) for price in range(4, 12)]
        await let_it_work()
        # The first write took what it could carry; the rest of the room is used, and no more than that.
        assert bench.publisher.statistics().buffered <= 2 + 4
        assert not all(task.done() for task in waiting)
        bench.transport.open.set()
        await asyncio.gather(*waiting)
        await bench.publisher.flush()
        assert sorted(await bench.prices()) == list(range(12))

    run(scenario, max_buffer=4, max_batch=2)


def test_drop_low_gives_up_old_low_events_first_and_counts_them() -> None:
    async def scenario(bench: Bench) -> None:
        bench.transport.down = True
        publish = bench.publisher.publish
        for event in (Noted(NOW, "old"), tick(1), Noted(NOW, "new")):
            publish(event)
        publish(tick(2))  # "old" makes room
        publish(tick(3))  # "new" makes room
        publish(Noted(NOW, "late"))  # only this one is expendable
        with pytest.raises(BufferFullError, match="nothing of LOW priority"):
            publish(Halted(NOW, "h"))
        with pytest.raises(BufferFullError):  # somebody waits for it: it cannot be dropped in silence
            await bench.publisher.publish_confirmed(Noted(NOW, "wanted"))
        assert bench.publisher.statistics().dropped == 3
        bench.transport.down = False
        await bench.publisher.flush()
        assert await bench.prices() == [1, 2, 3]
        assert await bench.batches(NOTED.stream) == []

    run(scenario, max_buffer=3, full_policy="drop_low")


def test_confirmation_comes_after_the_bus_has_the_event() -> None:
    async def scenario(bench: Bench) -> None:
        bench.transport.open.clear()
        confirming = asyncio.create_task(bench.publisher.publish_confirmed(tick(1)))
        flushing = asyncio.create_task(bench.publisher.flush())
        await let_it_work()
        assert not confirming.done()
        bench.transport.open.set()
        assert await confirming == "tester-1:0"
        assert await bench.prices() == [1]
        await flushing

    run(scenario)


def test_causes_are_stored_once_and_resolved() -> None:
    async def scenario(bench: Bench) -> None:
        publish = bench.publisher.publish
        publish(tick(0))
        publish(tick(1), cause="engine:7")
        publish(tick(2), cause="engine:9", root="feed-ab:3")
        publish(tick(3), cause="engine:7")
        await bench.publisher.flush()
        (batch,) = await bench.batches()
        assert [batch.causation_id(i) for i in range(4)] == ["", "engine:7", "engine:9", "engine:7"]
        assert [batch.correlation_id(i) for i in range(4)] == ["tester-1:0", "engine:7", "feed-ab:3", "engine:7"]
        assert len(batch.inputs) == 2
        for cause, root in (("no number", ""), (":3", ""), ("x:-1", ""), ("", "a:1")):
            with pytest.raises(PublishError):
                publish(tick(4), cause=cause, root=root)

    run(scenario)


def test_an_event_that_cannot_travel_is_alone_refused() -> None:
    async def scenario(bench: Bench) -> None:
        publisher = bench.publisher
        broken = Ticked(NOW, object(), 1.0)  # type: ignore[arg-type]
        results = await asyncio.gather(
            publisher.publish_confirmed(tick(1)),
            publisher.publish_confirmed(Noted(NOW, "x" * MAX_ENTRY_BYTES)),
            publisher.publish_confirmed(broken),
            publisher.publish_confirmed(tick(2)),
            publisher.publish_confirmed(Noted(NOW, "fits")),
            return_exceptions=True,
        )
        assert isinstance(results[1], EntryTooLargeError)
        assert isinstance(results[2], PublishError)
        assert await bench.prices() == [1, 2]
        assert [results[0], results[3], results[4]] == ["tester-1:0", "tester-1:1", "tester-1:2"]
        assert publisher.statistics().dropped == 2
        with pytest.raises(TopicError, match="StrangeEvent"):
            publisher.publish(StrangeEvent(NOW))

    run(scenario)


class StrangeEvent(Event, frozen=True, tag="test.strange.v1"):
    pass


def test_large_events_share_entries_as_far_as_they_fit() -> None:
    async def scenario(bench: Bench) -> None:
        size = MAX_ENTRY_BYTES // 3
        for number in range(5):
            bench.publisher.publish(Noted(NOW, str(number) * size))
        await bench.publisher.flush()
        batches = await bench.batches(NOTED.stream)
        assert [event.text[0] for batch in batches for event in batch.events] == list("01234")
        assert [batch.sequence for batch in batches] == [
            sum(len(b.events) for b in batches[:i]) for i in range(len(batches))
        ]
        assert 3 <= len(batches) < 5

    run(scenario)


def test_close_writes_what_waits_and_then_refuses() -> None:
    async def scenario(bench: Bench) -> None:
        for price in range(30):
            bench.publisher.publish(tick(price))
        await bench.publisher.close()
        assert await bench.prices() == list(range(30))
        for attempt in (bench.publisher.publish_wait, bench.publisher.publish_confirmed):
            with pytest.raises(PublisherClosedError, match="'tester-1'"):
                await attempt(tick(1))
        await bench.publisher.flush()

    run(scenario, max_batch=10)


def test_cancelled_close_tells_everybody_who_waits() -> None:
    async def scenario(bench: Bench) -> None:
        bench.transport.open.clear()
        in_flight = asyncio.create_task(bench.publisher.publish_confirmed(tick(1)))
        await let_it_work()
        waiting = asyncio.create_task(bench.publisher.publish_confirmed(tick(2)))
        flushing = asyncio.create_task(bench.publisher.flush())
        await let_it_work()
        closing = asyncio.create_task(bench.publisher.close())
        await let_it_work()
        closing.cancel()
        results = await asyncio.gather(closing, in_flight, waiting, flushing, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert all(isinstance(result, PublisherClosedError) for result in results[1:])

    async def main() -> None:
        await scenario(Bench())

    asyncio.run(main())


def test_linger_waits_for_company_but_not_for_a_full_batch_or_a_flush() -> None:
    async def scenario(bench: Bench) -> None:
        hour = asyncio.timeout(20)
        async with hour:
            bench.publisher.publish(tick(0))
            await let_it_work()
            assert bench.transport.calls["append"] == 0
            for price in range(1, 10):
                bench.publisher.publish(tick(price))
            await let_it_work()
            assert [len(batch.events) for batch in await bench.batches()] == [10]
            bench.publisher.publish(tick(10))
            await bench.publisher.flush()
            assert [len(batch.events) for batch in await bench.batches()] == [10, 1]

    run(scenario, max_batch=10, linger_ns=3_600_000_000_000)


def test_incarnations_differ_and_bounds_are_checked() -> None:
    first, second = new_incarnation("cli"), new_incarnation("cli")
    assert first != second
    assert first.startswith("cli-")
    with pytest.raises(ValueError, match="at least 1, was 0 and 5"):
        Bench(max_batch=0, max_buffer=5)


def test_faults_are_transport_errors() -> None:
    async def scenario(bench: Bench) -> None:
        bench.transport.down = True
        with pytest.raises(TransportError):
            await bench.transport.ping()

    run(scenario)
