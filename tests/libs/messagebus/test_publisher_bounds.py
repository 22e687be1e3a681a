"""What a publisher refuses, drops and ends with: full buffers, events that cannot travel, closing."""

from __future__ import annotations

import asyncio

import pytest

from libs.messagebus import (
    BufferFullError,
    EntryTooLargeError,
    Event,
    PublisherClosedError,
    PublishError,
    TopicError,
    TransportError,
    new_incarnation,
)
from libs.messagebus.codec import MAX_ENTRY_BYTES
from libs.testing.bus_topics import NOTED, Halted, Noted, Ticked
from tests.libs.messagebus.publishing import NOW, Bench, let_it_work, run, tick


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


def test_many_at_once_are_taken_all_or_none() -> None:
    async def scenario(bench: Bench) -> None:
        bench.publisher.publish_many([])
        bench.transport.open.clear()
        bench.publisher.publish_many([tick(price) for price in range(4)])
        with pytest.raises(BufferFullError, match="full with 4 events"):
            bench.publisher.publish_many([tick(9), tick(9)])
        with pytest.raises(TopicError):
            bench.publisher.publish_many([tick(9), Event(NOW)])
        bench.transport.open.set()
        await bench.publisher.flush()
        assert await bench.prices() == list(range(4))
        await bench.publisher.close()
        with pytest.raises(PublisherClosedError):
            bench.publisher.publish_many([tick(1)])

    run(scenario, max_buffer=5, full_policy="fail")


def test_many_wait_for_room_in_pieces_that_fit() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.publisher.publish_many_wait([tick(price) for price in range(50)])
        await bench.publisher.flush()
        assert await bench.prices() == list(range(50))

    run(scenario, max_buffer=4, max_batch=9)


def test_many_under_drop_low_give_up_low_events_one_by_one() -> None:
    async def scenario(bench: Bench) -> None:
        bench.publisher.publish_many([Noted(NOW, "old") for _ in range(3)])
        bench.publisher.publish_many([tick(1), tick(2)])
        await bench.publisher.flush()
        assert await bench.prices() == [1, 2]
        assert bench.publisher.statistics().dropped == 2

    run(scenario, max_buffer=3, full_policy="drop_low")
