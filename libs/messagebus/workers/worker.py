"""A worker: reads jobs as one of a consumer group, and does each of them at least once.

::

    reader (one a stream)  --jobs-->  runners (`concurrency` a topic)  --outcomes-->  settler  --one script-->  bus
                 ^                                                                       keeper: signs of life, claims,
                 '--------------------- entries of dead workers -------------------------         cancels, metrics

Whoever needs effects once hands the job's idempotency key to what carries them out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog

from libs.clock import Clock, UnknownTimerError
from libs.contracts.jobs import JobProgressed, JobState
from libs.contracts.system import EventDeadLettered
from libs.messagebus.codec import Codec
from libs.messagebus.errors import BufferFullError, TopicError, TransportError
from libs.messagebus.publisher import Publisher, new_incarnation
from libs.messagebus.topic import TopicRegistry
from libs.messagebus.workers.intake import Intake
from libs.messagebus.workers.job import Job
from libs.messagebus.workers.keeper import Keeper, ask_running
from libs.messagebus.workers.lane import Lane
from libs.messagebus.workers.policy import JobRoute, WorkerSettings, check_name, routes_by_stream
from libs.messagebus.workers.queue import WorkQueue
from libs.messagebus.workers.reader import Reader
from libs.messagebus.workers.runner import Runner, Workshop
from libs.messagebus.workers.settler import Settler
from libs.messagebus.workers.statistics import StreamFacts, TopicCounts, WorkerStatistics


class Worker:
    """One consumer of a group; run as many as there is work for, in as many processes as you like.

    Attributes:
        group: Whose work it shares. Every group gets every event.
        consumer: Its own name, drawn anew for each worker.
        statistics: Counters.
    """

    def __init__(
        self,
        queue: WorkQueue,
        codec: Codec,
        registry: TopicRegistry,
        group: str,
        routes: Sequence[JobRoute[Any]],
        clock: Clock,
        *,
        settings: WorkerSettings | None = None,
        publisher: Publisher | None = None,
    ) -> None:
        """Prepare a worker; :meth:`run` does the rest.

        Args:
            queue: See :func:`libs.messagebus.workers.work_queue`.
            codec: Codec of the registry's topics.
            registry: Topics of the bus; that of the dead letters (``libs.contracts.topics.DEAD_LETTER``) among them.
            group: Name of the group.
            routes: What to do with which topic, see :func:`libs.messagebus.workers.job`.
            clock: Tells when retries are due and signs of life are given.
            settings: How it reads.
            publisher: Where progress of jobs is published; without one nobody hears of it.

        Raises:
            ValueError: If the group's name cannot stand in a key, or a topic is routed twice or not at all.
            TopicError: If a topic is not of the registry, or the registry has none for dead letters.
        """
        self.group = check_name("group", group)
        self.consumer = new_incarnation(group[:60])
        self.statistics = WorkerStatistics()
        self._settings = settings or WorkerSettings()
        self._queue = queue
        self._publisher = publisher
        self._clock = clock
        letters = dead_letter_stream(registry)
        self._lanes: list[Lane] = []
        for stream, found in routes_by_stream(list(routes)).items():
            self._lanes.append(Lane(stream, found, self._settings.max_read, self._settings.max_waiting))
            self.statistics.streams[stream] = StreamFacts()
            for route in found:
                if registry.by_name.get(route.topic.name) is not route.topic:
                    raise TopicError(f"topic of a job must be of the registry, was '{route.topic.name}'; add it there")
                self.statistics.topics[route.topic.name] = TopicCounts()
        settler = Settler(queue, group, self.consumer, letters, clock, self.statistics)
        intake = Intake(codec, group, self.consumer, clock, self.statistics, self._report)
        self._shop = Workshop(clock, self.consumer, intake, settler, self.statistics, self._announce)
        self._readers = [Reader(self._shop, queue, lane, group, self._settings) for lane in self._lanes]
        self.keeper = Keeper(
            self._shop, queue, codec, group, self._settings, list(zip(self._lanes, self._readers, strict=True))
        )
        self._stop = asyncio.Event()
        self._log = structlog.get_logger("worker").bind(group=group, consumer=self.consumer)

    async def run(self) -> None:
        """Work until :meth:`stop`; or until cancelled, which is as abrupt as a crash and as safe.

        Raises:
            TransportRefusedError: If the server refuses until somebody changes a setting.
        """
        try:
            async with asyncio.TaskGroup() as group:
                readers = [group.create_task(reader.run()) for reader in self._readers]
                helpers = [group.create_task(self._shop.settler.run(self._lanes)), group.create_task(self.keeper.run())]
                runners = [
                    group.create_task(Runner(self._shop, lane, queue).run())
                    for lane in self._lanes
                    for queue in lane.queues.values()
                    for _ in range(queue.route.concurrency)
                ]
                await self._stop.wait()
                await self._end(readers, runners)
                for task in helpers:
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise _first_of(errors) from None
        finally:
            for name in sorted(self._shop.alerts):
                with suppress(UnknownTimerError):
                    self._clock.cancel_timer(name)

    def stop(self) -> None:
        """Begin no job any more; those that run are given ``stop_seconds``, what is left is given back."""
        self._stop.set()

    async def cancel(self, job_id: str) -> None:
        """Ask for a job to end, whoever of the group has it; it is heard within a third of the visibility.

        A job that has not begun does not begin. One that runs ends where it looks (:meth:`Job.raise_if_cancelled`).
        """
        await self._queue.ask_to_cancel(self.group, job_id)
        self._shop.cancelled |= {job_id}
        ask_running(self._lanes, frozenset({job_id}))

    # -- ending -----------------------------------------------------------------------------------

    async def _end(self, readers: Sequence[asyncio.Task[None]], runners: Sequence[asyncio.Task[None]]) -> None:
        shop = self._shop
        shop.stopping = True
        for task in readers:
            task.cancel()
        for lane in self._lanes:
            for queue in lane.queues.values():
                queue.wake.set()
            for entry in lane.opened.values():
                for running in entry.running.values():
                    running.cancel_reason = running.cancel_reason or "stopping"
        await asyncio.wait(runners, timeout=self._settings.stop_seconds)
        for task in runners:
            task.cancel()
        await asyncio.wait([*runners, *readers])
        try:
            async with asyncio.timeout(self._settings.stop_seconds):
                await shop.settler.drained()
                for lane in self._lanes:
                    await self._queue.release(lane.stream, self.group, self.consumer)
                    await self._queue.leave(lane.stream, self.group, self.consumer)
        except (TimeoutError, TransportError) as error:
            # As after a crash: others take over when this one's entries have been silent for long enough.
            self._log.warning("left_without_word", error=str(error) or "the bus did not answer in time")

    # -- telling ----------------------------------------------------------------------------------

    def _report(self, job: Job[Any], fraction: float, text: str) -> None:
        self._announce(job, "running", fraction, text)

    def _announce(self, job: Job[Any], state: JobState, fraction: float, text: str) -> None:
        if self._publisher is None:
            return
        event = JobProgressed(
            self._clock.timestamp_ns(), job.id, self.group, job.topic.name, state, fraction, text, job.attempt,
            self.consumer,
        )  # fmt: skip
        with suppress(BufferFullError):  # telling must not make the job fail
            self._publisher.publish(event, cause=job.id)


def dead_letter_stream(registry: TopicRegistry) -> str:
    """Where dead letters go.

    Raises:
        TopicError: If the registry has no topic for them.
    """
    topic = registry.by_event.get(EventDeadLettered)
    if topic is None:
        raise TopicError(
            "registry must hold the topic of the dead letters, was without; add libs.contracts.topics.DEAD_LETTER"
        )
    return topic.stream


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
