"""Jobs in the order of their keys: one worker at a time, keys beside each other, a retry holds its key back."""

from __future__ import annotations

import asyncio

from libs.messagebus.workers import MemoryWorkQueue, RetryPolicy, WorkerSettings
from tests.libs.messagebus.working import Bench, Script, run, ticks

VISIBILITY = WorkerSettings().visibility_seconds


class SilentQueue(MemoryWorkQueue):
    """Does not answer who asks to hold a stream."""

    async def hold(self, stream: str, group: str, consumer: str, lease_ms: int) -> bool:
        await asyncio.Event().wait()
        return True


def test_one_key_runs_in_order_and_keys_run_beside_each_other() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script(hold={1.0})
        await bench.publish(1.0, 2.0, symbol="A")
        await bench.publish(11.0, 12.0, symbol="B")
        bench.start(ticks(script, concurrency=5, ordered=True))
        await bench.until(lambda: script.done == [11.0, 12.0])
        await bench.settle_down()
        assert script.began == [(1.0, 1), (11.0, 1), (12.0, 1)]
        script.let_go.set()
        await bench.until(lambda: script.done == [11.0, 12.0, 1.0, 2.0])

    run(scenario)


def test_a_retry_holds_its_key_back_and_no_other() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script(failing={1.0: 1})
        await bench.publish(1.0, 2.0, 3.0, symbol="A")
        await bench.publish(11.0, symbol="B")
        bench.start(ticks(script, concurrency=2, ordered=True, retry=RetryPolicy(2, 1.0, 1.0)))
        await bench.until(lambda: script.done == [11.0])
        await bench.settle_down()
        assert script.done == [11.0]
        await bench.advance(1)
        assert script.done == [11.0, 1.0, 2.0, 3.0]

    run(scenario)


def test_a_dead_letter_lets_its_key_go_on() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script(failing={1.0: 9})
        await bench.publish(1.0, 2.0, symbol="A")
        bench.start(ticks(script, ordered=True, retry=RetryPolicy(2, 1.0, 1.0)))
        await bench.settle_down()
        await bench.advance(1)
        assert script.done == [2.0]
        assert [letter.event_id for letter in await bench.letters()] == ["p:0"]

    run(scenario)


def test_one_worker_serves_an_ordered_stream_and_another_takes_over_where_it_died() -> None:
    async def scenario(bench: Bench) -> None:
        first, second = Script(hold={3.0}), Script()
        await bench.publish(1.0, 2.0, 3.0, 4.0, symbol="A")
        active = bench.start(ticks(first, ordered=True, concurrency=2))
        await bench.until(lambda: first.running and first.done == [1.0, 2.0])
        bench.start(ticks(second, ordered=True, concurrency=2))
        await bench.publish(5.0, symbol="B")
        await bench.advance(VISIBILITY / 3)
        assert second.began == []
        assert 5.0 in first.done
        await bench.publish(6.0, symbol="A")
        await bench.kill(active)
        for _ in range(5):
            await bench.advance(VISIBILITY / 3)
        await bench.until(lambda: len(second.done) == 3)
        assert second.done == [3.0, 4.0, 6.0]
        await bench.settle_down()
        assert await bench.pending() == 0

    run(scenario)


def test_a_worker_that_stood_still_for_longer_than_its_lease_begins_nothing_and_settles_nothing() -> None:
    async def scenario(bench: Bench) -> None:
        first, second = Script(hold={1.0}), Script()
        await bench.publish(1.0, 2.0, symbol="A")
        frozen = bench.start(ticks(first, ordered=True))
        await bench.until(lambda: first.running)
        task = bench.tasks.pop(frozen)
        # Its signs of life stop, as in a process that is not scheduled; the lease runs out on the clock.
        frozen.keeper._queue = SilentQueue(bench.memory, bench.clock)
        await bench.advance(VISIBILITY)
        bench.start(ticks(second, ordered=True))
        await bench.until(lambda: second.done == [1.0, 2.0])
        first.let_go.set()
        await bench.settle_down()
        assert first.done == [1.0]  # it was in the middle of it; at least once
        assert first.keys[0] == second.keys[0]
        await bench.publish(3.0, symbol="A")
        await bench.until(lambda: 3.0 in second.done)
        await bench.settle_down()
        assert first.done == [1.0]
        assert await bench.pending() == 0
        task.cancel()
        await asyncio.wait([task])

    run(scenario)


def test_a_stopping_worker_hands_its_ordered_stream_over_at_once() -> None:
    async def scenario(bench: Bench) -> None:
        first, second = Script(hold={2.0}), Script()
        await bench.publish(1.0, 2.0, 3.0, symbol="A")
        active = bench.start(ticks(first, ordered=True))
        await bench.until(lambda: first.running and first.done == [1.0])
        await bench.stop(active)
        bench.start(ticks(second, ordered=True))
        await bench.until(lambda: second.done == [2.0, 3.0])

    run(scenario)
