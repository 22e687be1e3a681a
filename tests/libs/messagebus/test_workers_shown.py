"""What workers show of themselves while they work: progress of jobs, and metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from libs.contracts.jobs import JobProgressed
from libs.contracts.topics import JOB
from libs.messagebus import Publisher
from libs.messagebus.transport import START
from libs.messagebus.workers import Job, RetryPolicy, WorkerMetrics, WorkerSettings
from libs.testing.bus_topics import TICKED, Ticked
from tests.libs.messagebus.working import CODEC, NOW, REGISTRY, Bench, Script, run, ticks

VISIBILITY = WorkerSettings().visibility_seconds


def test_jobs_tell_how_far_they_are() -> None:
    async def scenario(bench: Bench) -> None:
        async def handler(work: Job[Ticked]) -> None:
            if work.attempt == 1:
                raise ValueError("first")
            work.report(0.25, "a quarter")

        publisher = Publisher(bench.memory, CODEC, REGISTRY, "teller", bench.clock)
        await bench.publish(1.0)
        worker = bench.start(ticks(handler), publisher=publisher)
        await bench.settle_down()
        await bench.advance(1)
        await publisher.flush()
        events = [e for x in await bench.memory.read({JOB.stream: START}, 9, 0) for e in CODEC.decode(x.data).events]
        told = [(event.state, event.fraction, event.text, event.attempt) for event in events]
        assert told == [("retrying", 0.0, "ValueError: first", 1), ("running", 0.25, "a quarter", 2)]
        assert events[0] == JobProgressed(
            NOW, "p:0", "g", TICKED.name, "retrying", 0.0, "ValueError: first", 1, worker.consumer
        )
        await publisher.close()

    run(scenario)


def test_metrics_show_what_is_in_flight_and_how_old_the_oldest_is() -> None:
    async def scenario(bench: Bench) -> None:
        registry = CollectorRegistry()
        script = Script(hold={1.0}, failing={2.0: 99})
        await bench.publish(1.0)
        await bench.publish(2.0)
        worker = bench.start(ticks(script, concurrency=2, retry=RetryPolicy(max_attempts=1)))
        WorkerMetrics(registry).add(worker)
        await bench.settle_down()
        await bench.advance(VISIBILITY)
        topic, stream = {"group": "g", "topic": TICKED.name}, {"group": "g", "stream": TICKED.stream}
        assert registry.get_sample_value("nautilus_jobs_in_flight", topic) == 1
        assert registry.get_sample_value("nautilus_jobs_oldest_pending_seconds", stream) == VISIBILITY
        assert registry.get_sample_value("nautilus_jobs_pending_entries", stream) == 1
        assert registry.get_sample_value("nautilus_jobs_dead_total", topic) == 1
        script.let_go.set()
        await bench.until(lambda: script.done == [1.0])
        await bench.settle_down()
        await bench.advance(VISIBILITY)
        assert registry.get_sample_value("nautilus_jobs_done_total", topic) == 1
        assert registry.get_sample_value("nautilus_jobs_oldest_pending_seconds", stream) == 0

    run(scenario)
