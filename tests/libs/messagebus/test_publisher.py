"""The publisher over memory with injected faults: batching, resending, ids."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.messagebus import PublishError
from libs.testing.bus_topics import HALTED, NOTED, TICKED, Halted, Noted
from tests.libs.messagebus.publishing import NOW, Bench, let_it_work, run, tick


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
