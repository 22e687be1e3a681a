"""Workers that die, freeze, stop, are cancelled or lose their group: nothing is lost, and keys make effects single."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from libs.messagebus.workers import Job, RetryPolicy, WorkerMetrics, WorkerSettings
from libs.testing.bus_topics import TICKED, Ticked
from tests.libs.messagebus.working import Bench, Script, run, ticks

VISIBILITY = WorkerSettings().visibility_seconds


def test_progress_inside_a_batch_survives_the_death_of_its_worker() -> None:
    async def scenario(bench: Bench) -> None:
        first, second = Script(hold={3.0}), Script()
        await bench.publish(1.0, 2.0, 3.0, 4.0, 5.0)
        worker = bench.start(ticks(first))
        await bench.until(lambda: first.running and first.done == [1.0, 2.0])
        await bench.settle_down()
        await bench.kill(worker)
        successor = bench.start(ticks(second))
        await bench.advance(VISIBILITY / 3)
        assert second.began == []
        await bench.advance(VISIBILITY)
        await bench.until(lambda: second.done == [3.0, 4.0, 5.0])
        await bench.settle_down()
        assert await bench.pending() == 0
        assert successor.statistics.claimed == 1

    run(scenario)


def test_attempts_and_waits_survive_the_death_of_a_worker() -> None:
    async def scenario(bench: Bench) -> None:
        policy = RetryPolicy(max_attempts=4, base_seconds=200.0, max_seconds=1000.0)
        first, second = Script(failing={1.0: 2}), Script(failing={1.0: 2})
        await bench.publish(1.0, 2.0)
        worker = bench.start(ticks(first, retry=policy))
        await bench.until(lambda: first.done == [2.0])
        await bench.settle_down()
        due = bench.clock.timestamp_ns() + policy.wait_ns("p:0", 1)
        await bench.kill(worker)
        bench.start(ticks(second, retry=policy))
        await bench.advance(VISIBILITY)
        await bench.advance(VISIBILITY)
        assert second.began == []
        bench.clock.advance_to(due)
        await bench.settle_down()
        assert second.began == [(1.0, 2)]
        await bench.advance(1000)
        assert second.done == [1.0]
        assert second.began == [(1.0, 2), (1.0, 3)]

    run(scenario)


def test_a_job_that_kills_its_workers_is_given_up_and_its_neighbours_are_done() -> None:
    async def scenario(bench: Bench) -> None:
        policy = RetryPolicy(max_attempts=3)
        done: list[float] = []
        await bench.publish(1.0, 2.0, 3.0, 4.0)
        for _ in range(6):
            script = Script(hold={3.0})
            worker = bench.start(ticks(script, retry=policy))
            await bench.advance(VISIBILITY)
            await bench.advance(VISIBILITY)
            done += script.done
            if not script.running:
                break
            await bench.kill(worker)
        (letter,) = await bench.letters()
        assert (letter.event_id, letter.attempts) == ("p:2", 3)
        assert letter.error.startswith("WorkerDied: ")
        assert done == [1.0, 2.0, 4.0]
        assert await bench.pending() == 0

    run(scenario)


def test_a_long_job_is_not_taken_over_while_its_worker_lives() -> None:
    async def scenario(bench: Bench) -> None:
        first, second = Script(hold={1.0}), Script()
        await bench.publish(1.0)
        bench.start(ticks(first))
        await bench.until(lambda: first.running)
        bench.start(ticks(second))
        for _ in range(20):
            await bench.advance(VISIBILITY / 3)
        assert second.began == []
        first.let_go.set()
        await bench.until(lambda: first.done == [1.0])
        await bench.settle_down()
        assert await bench.pending() == 0

    run(scenario)


def test_a_frozen_worker_learns_that_its_job_was_taken_and_ends_it() -> None:
    async def scenario(bench: Bench) -> None:
        reasons: list[str] = []

        async def endless(work: Job[Ticked]) -> None:
            try:
                while True:
                    work.raise_if_cancelled()
                    await asyncio.sleep(0)
            finally:
                reasons.append(work.cancel_reason)

        second = Script()
        await bench.publish(1.0)
        frozen = bench.start(ticks(endless))
        await bench.settle_down()
        claimed = await bench.queue.claim(TICKED.stream, "g", "somebody", 0, 9)
        assert len(claimed.deliveries) == 1
        await bench.advance(VISIBILITY / 3)
        assert reasons == ["lost"]
        assert frozen.statistics.taken_away == 1
        counts = frozen.statistics.topics[TICKED.name]
        assert (counts.done, counts.failed, counts.cancelled) == (0, 0, 0)
        bench.start(ticks(second))
        await bench.kill(frozen)
        await bench.advance(VISIBILITY)
        await bench.advance(VISIBILITY)
        assert second.done == [1.0]

    run(scenario)


def test_a_stopping_worker_ends_what_runs_and_gives_back_the_rest_at_once() -> None:
    async def scenario(bench: Bench) -> None:
        first, second = Script(hold={2.0}), Script()
        await bench.publish(1.0, 2.0, 3.0)
        worker = bench.start(ticks(first))
        await bench.until(lambda: first.running and first.done == [1.0])
        await bench.stop(worker)
        assert first.done == [1.0]
        bench.start(ticks(second))
        await bench.until(lambda: second.done == [2.0, 3.0])
        assert second.began == [(2.0, 1), (3.0, 1)]

    run(scenario)


def test_cancelled_jobs_end_where_they_look_or_never_begin() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script(hold={1.0})
        await bench.publish(1.0, 2.0, 3.0)
        worker = bench.start(ticks(script))
        await bench.until(lambda: script.running)
        await bench.queue.ask_to_cancel("g", "p:1")
        await bench.settle_down()
        await worker.cancel("p:0")
        await bench.until(lambda: script.running == 0)
        await bench.advance(VISIBILITY / 3)
        await bench.until(lambda: 3.0 in script.done)
        await bench.settle_down()
        assert worker.statistics.topics[TICKED.name].cancelled >= 1
        assert 1.0 not in script.done
        assert await bench.pending() == 0
        await bench.advance(VISIBILITY)
        assert "p:0" not in await bench.queue.cancels("g")

    run(scenario)


def test_a_cancel_from_elsewhere_is_heard_at_the_next_look() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script(hold={1.0})
        await bench.publish(1.0, 2.0)
        worker = bench.start(ticks(script))
        await bench.until(lambda: script.running)
        for job_id in ("p:0", "p:1"):
            await bench.queue.ask_to_cancel("g", job_id)
        await bench.settle_down()
        assert script.running == 1
        await bench.advance(VISIBILITY / 3)
        assert (script.running, script.done) == (0, [])
        assert worker.statistics.topics[TICKED.name].cancelled == 2

    run(scenario)


@pytest.mark.parametrize("lost", ["stream and group", "group alone"])
def test_a_lost_group_is_created_again_from_the_oldest_and_told(lost: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(bench: Bench) -> None:
        script = Script()
        metrics = CollectorRegistry()
        await bench.publish(1.0)
        worker = bench.start(ticks(script), block_ms=1)
        WorkerMetrics(metrics).add(worker)
        await bench.until(lambda: script.done == [1.0])
        await bench.settle_down()
        bench.memory.groups.groups.clear()
        if lost == "stream and group":
            bench.memory._streams.clear()
        await bench.publish(2.0)
        await bench.until(lambda: 2.0 in script.done)
        assert worker.statistics.groups_recreated == 1
        assert metrics.get_sample_value("nautilus_jobs_groups_recreated_total", {"group": "g"}) == 1
        assert "group_recreated" in capsys.readouterr().out
        # What survived is done again: at least once, and the key says that it is the same job.
        assert script.keys.count("g/p:0") == (1 if lost == "stream and group" else 2)

    run(scenario)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    failing=st.dictionaries(st.integers(0, 20), st.integers(1, 5)),
    deaths=st.lists(st.integers(0, 60), max_size=4),
    concurrency=st.integers(1, 3),
)
def test_random_histories_of_deaths_lose_nothing(
    sizes: list[int], failing: dict[int, int], deaths: list[int], concurrency: int
) -> None:
    async def scenario(bench: Bench) -> None:
        policy = RetryPolicy(max_attempts=4, base_seconds=1.0, max_seconds=4.0)
        script = Script(failing={float(price): times for price, times in failing.items()})
        number = 0
        for size in sizes:
            await bench.publish(*(float(number + index) for index in range(size)))
            number += size
        route = ticks(script, concurrency=concurrency, retry=policy)
        for turns in deaths:
            worker = bench.start(route)
            for _ in range(turns):
                await asyncio.sleep(0)
            await bench.kill(worker)
            await bench.advance(VISIBILITY)
        bench.start(route)
        for _ in range(40):
            await bench.advance(VISIBILITY / 3)
        assert await bench.pending() == 0
        dead = {letter.event_id for letter in await bench.letters()}
        effects = set(script.keys)
        assert len(await bench.letters()) == len(dead)
        assert effects | {f"g/{job}" for job in dead} == {f"g/p:{index}" for index in range(number)}
        # Without deaths exactly those that fail too often are given up, and nothing is done twice.
        if not deaths:
            assert dead == {f"p:{price}" for price, times in failing.items() if times >= 4 and price < number}
            assert len(script.keys) == len(effects)

    run(scenario)
