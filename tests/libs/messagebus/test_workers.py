"""What a worker does with jobs: once where all goes well, again on the clock where not, and never its neighbours."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from libs.contracts.system import EventDeadLettered
from libs.messagebus import RecordBatch, TopicError, TopicRegistry
from libs.messagebus.workers import Job, JobRejected, RetryPolicy, Worker, job
from libs.testing.bus_topics import HALTED, TICKED, Halted, Ticked
from tests.libs.messagebus.working import CODEC, NOW, REGISTRY, SECOND, Bench, Script, run, ticks

POLICY = RetryPolicy(max_attempts=3, base_seconds=1.0, max_seconds=60.0)


def test_every_job_is_done_and_acknowledged() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script()
        await bench.publish(*map(float, range(100)))
        await bench.publish(100.0)
        worker = bench.start(ticks(script))
        await bench.until(lambda: len(script.done) == 101)
        await bench.publish(101.0)
        await bench.until(lambda: len(script.done) == 102)
        await bench.settle_down()
        assert script.done == [float(number) for number in range(102)]
        assert script.keys == [f"g/p:{number}" for number in range(102)]
        assert await bench.pending() == 0
        counts = worker.statistics.topics[TICKED.name]
        assert (counts.done, counts.failed, counts.running) == (102, 0, 0)

    run(scenario)


def test_a_plain_function_is_a_handler_too() -> None:
    async def scenario(bench: Bench) -> None:
        seen: list[float] = []
        await bench.publish(1.0, 2.0, 3.0)
        bench.start(ticks(lambda work: seen.append(work.event.price)))
        await bench.until(lambda: seen == [1.0, 2.0, 3.0])

    run(scenario)


def test_a_bad_event_is_tried_again_on_the_clock_and_its_neighbours_are_not() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script(failing={2.0: 2})
        await bench.publish(1.0, 2.0, 3.0)
        worker = bench.start(ticks(script, retry=POLICY))
        await bench.until(lambda: script.done == [1.0, 3.0])
        for attempts in (1, 2):
            wait = POLICY.wait_ns("p:1", attempts)
            bench.clock.advance_time(wait - 1)
            await bench.settle_down()
            assert script.began[-1][1] == attempts if attempts > 1 else script.began.count((2.0, 2)) == 0
            bench.clock.advance_time(1)
            await bench.settle_down()
        assert script.done == [1.0, 3.0, 2.0]
        assert [began for began in script.began if began[0] == 2.0] == [(2.0, 1), (2.0, 2), (2.0, 3)]
        assert len(script.began) == 5
        assert await bench.pending() == 0
        counts = worker.statistics.topics[TICKED.name]
        assert (counts.done, counts.failed, counts.retried, counts.dead) == (3, 2, 2, 0)

    run(scenario)


def test_waits_double_are_bounded_and_differ_between_jobs() -> None:
    policy = RetryPolicy(max_attempts=12, base_seconds=1.0, max_seconds=60.0)
    waits = [policy.wait_ns("p:1", attempts) / SECOND for attempts in range(1, 12)]
    for attempts, wait in enumerate(waits, 1):
        bound = min(60.0, 2.0 ** (attempts - 1))
        assert max(1.0, bound / 2) <= wait <= bound
    assert waits == [policy.wait_ns("p:1", attempts) / SECOND for attempts in range(1, 12)]
    assert len({policy.wait_ns(f"p:{number}", 5) for number in range(50)}) == 50


def test_a_job_that_always_fails_becomes_a_dead_letter_that_says_all() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script(failing={2.0: 99})
        await bench.publish(0.0)
        await bench.publish(1.0, 2.0)
        worker = bench.start(ticks(script, retry=POLICY))
        for _ in range(3):
            await bench.settle_down()
            await bench.advance(60)
        (letter,) = await bench.letters()
        assert letter == EventDeadLettered(
            letter.ts_event, "g", TICKED.stream, "2-0", 1, "p:2", TICKED.name, "ValueError: no 2.0",
            letter.traceback_hash, CODEC.encode_event(Ticked(NOW, "X", 2.0)), 3,
        )  # fmt: skip
        assert NOW < letter.ts_event <= bench.clock.timestamp_ns()
        assert len(letter.traceback_hash) == 16
        assert script.done == [0.0, 1.0]
        assert await bench.pending() == 0
        assert worker.statistics.topics[TICKED.name].dead == 1

    run(scenario)


def test_equal_failures_have_equal_traceback_hashes() -> None:
    def handler(work: Job[Ticked]) -> None:
        if work.event.price < 3:
            raise JobRejected(f"never {work.event.price}")
        raise KeyError("another")

    async def scenario(bench: Bench) -> None:
        await bench.publish(1.0, 2.0, 3.0)
        bench.start(ticks(handler))
        await bench.settle_down()
        letters = await bench.letters()
        assert [letter.attempts for letter in letters[:2]] == [1, 1]
        assert letters[0].traceback_hash == letters[1].traceback_hash
        assert len(letters) == 2
        assert bench.tasks
        await bench.publish(3.0)

    run(scenario)


def test_what_cannot_be_decoded_is_a_dead_letter_at_once_and_the_rest_is_done() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script()
        good = CODEC.encode_event(Ticked(NOW, "X", 1.0))
        batch = ["p", 0, NOW, [msgspec.Raw(good), ["no.such.tag", 1], msgspec.Raw(good)]]
        await bench.publish_bytes(msgspec.msgpack.encode(batch), 3)
        await bench.publish_bytes(b"rubbish")
        await bench.publish(4.0)
        worker = bench.start(ticks(script))
        await bench.until(lambda: len(script.done) == 3)
        await bench.settle_down()
        event, entry = await bench.letters()
        assert (event.event_id, event.entry_id, event.index, event.attempts) == ("p:1", "1-0", 1, 1)
        assert event.payload == msgspec.msgpack.encode(["no.such.tag", 1])
        assert (entry.event_id, entry.entry_id, entry.payload) == ("", "2-0", b"rubbish")
        assert await bench.pending() == 0
        assert worker.statistics.undecodable == 2

    run(scenario)


def test_events_of_other_topics_on_the_stream_are_passed_over() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script()
        halted = Halted(NOW, "why")
        await bench.publish_events(halted, Ticked(NOW, "X", 1.0), halted)
        await bench.publish_events(halted)
        bench.start(ticks(script))
        await bench.until(lambda: script.done == [1.0])
        await bench.settle_down()
        assert await bench.pending() == 0

    run(scenario)


def test_two_groups_each_do_everything_and_their_keys_differ() -> None:
    async def scenario(bench: Bench) -> None:
        one, two = Script(), Script()
        await bench.publish(1.0, 2.0)
        bench.start(ticks(one), group="one")
        bench.start(ticks(two), group="two")
        await bench.until(lambda: len(one.done) == len(two.done) == 2)
        assert one.keys == ["one/p:0", "one/p:1"]
        assert two.keys == ["two/p:0", "two/p:1"]

    run(scenario)


def test_workers_of_one_group_share() -> None:
    async def scenario(bench: Bench) -> None:
        scripts = [Script(hold=set(map(float, range(8)))) for _ in range(4)]
        for script in scripts:
            bench.start(ticks(script, concurrency=2))
        for number in range(8):
            await bench.publish(float(number))
        await bench.until(lambda: sum(script.running for script in scripts) == 8)
        assert [script.running for script in scripts] == [2, 2, 2, 2]
        for script in scripts:
            script.let_go.set()
        await bench.until(lambda: sum(len(script.done) for script in scripts) == 8)

    run(scenario)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_jobs_of_a_topic_run_at_once_than_its_concurrency(concurrency: int) -> None:
    async def scenario(bench: Bench) -> None:
        script = Script()
        await bench.publish(*map(float, range(20)))
        bench.start(ticks(script, concurrency=concurrency))
        await bench.until(lambda: len(script.done) == 20)
        assert script.most == concurrency

    run(scenario)


def test_a_mass_of_failures_stops_the_reading() -> None:
    async def scenario(bench: Bench) -> None:
        script = Script(failing={float(number): 1 for number in range(100)})
        for number in range(100):
            await bench.publish(float(number))
        bench.start(ticks(script, retry=POLICY), max_waiting=10)
        await bench.settle_down()
        await bench.settle_down()
        assert 10 <= len(script.began) < 20
        for _ in range(30):
            await bench.advance(2)
        assert sorted(script.done) == [float(number) for number in range(100)]

    run(scenario)


def test_what_cannot_work_is_refused() -> None:
    bench_clock, queue = Bench().clock, Bench().queue
    with pytest.raises(ValueError, match="at least one, was none"):
        Worker(queue, CODEC, REGISTRY, "g", [], bench_clock)
    with pytest.raises(ValueError, match=r"group must be 1 to 100 letters, .*, was 'a:b'"):
        Worker(queue, CODEC, REGISTRY, "a:b", [ticks(Script())], bench_clock)
    with pytest.raises(ValueError, match="was routed twice"):
        Worker(queue, CODEC, REGISTRY, "g", [ticks(Script()), ticks(Script())], bench_clock)
    with pytest.raises(TopicError, match="topic of the dead letters, was without"):
        Worker(queue, CODEC, TopicRegistry.of([TICKED]), "g", [ticks(Script())], bench_clock)
    registry = TopicRegistry.of([topic for topic in REGISTRY.by_name.values() if topic is not HALTED])
    with pytest.raises(TopicError, match=f"was '{HALTED.name}'"):
        Worker(queue, CODEC, registry, "g", [job(HALTED, lambda _: None)], bench_clock)
    with pytest.raises(ValueError, match=r"concurrency of 'test.ticked' must be at least 1, was 0"):
        ticks(Script(), concurrency=0)
    with pytest.raises(ValueError, match="max_attempts must be at least 1, was 0"):
        RetryPolicy(max_attempts=0)


def test_progress_outside_its_bounds_is_refused() -> None:
    async def scenario(bench: Bench) -> None:
        async def handler(work: Job[Ticked]) -> None:
            work.report(0.5, "half")
            with pytest.raises(ValueError, match=r"from 0 to 1, was 1\.5"):
                work.report(1.5)
            seen.set()

        seen = asyncio.Event()
        await bench.publish(1.0)
        bench.start(ticks(handler))
        await seen.wait()

    run(scenario)


def test_the_batch_a_job_came_in_is_known() -> None:
    async def scenario(bench: Bench) -> None:
        found: list[RecordBatch] = []
        await bench.publish(1.0)
        bench.start(ticks(lambda work: found.append(work.entry.batch)))
        await bench.until(lambda: found)
        assert found[0].event_id(0) == "p:0"

    run(scenario)
