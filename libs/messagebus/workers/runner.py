"""Runs the jobs of one topic, one after the other; a worker has as many runners as the topic's concurrency.

An entry that was taken over may be what its worker died of. Its jobs run one at a time, and each is written down as
begun *before* it begins: if this worker dies too, the next one knows which job it was, and after ``max_attempts`` of
that the job goes to the dead letters and its neighbours go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import structlog

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.contracts.dead_letters import place_of, text_of
from libs.contracts.jobs import JobState
from libs.messagebus.workers.errors import JobCancelled, JobRejected
from libs.messagebus.workers.intake import Intake
from libs.messagebus.workers.job import Job
from libs.messagebus.workers.lane import JobQueue, Lane
from libs.messagebus.workers.queue import Failure, Settlement, Verdict
from libs.messagebus.workers.settler import Settler
from libs.messagebus.workers.statistics import WorkerStatistics

#: After so long without a pause other tasks get their turn, also when no job ever waits for anything.
_TURN_NS = 1_000_000
_LOOK_EVERY = 32


@dataclass(slots=True)
class Workshop:
    """What the parts of one worker share.

    Attributes:
        cancelled: Jobs somebody asked to cancel.
        ended: Of them, those that have ended since the last look.
        alerts: Names of the retry timers that are armed.
        stopping: No job begins any more.
    """

    clock: Clock
    consumer: str
    intake: Intake
    settler: Settler
    statistics: WorkerStatistics
    announce: Callable[[Job[Any], JobState, float, str], None]
    cancelled: frozenset[str] = frozenset()
    ended: list[str] = field(default_factory=list)
    alerts: set[str] = field(default_factory=set)
    serial: count[int] = field(default_factory=count)
    stopping: bool = False


class Runner:
    """Takes jobs of one topic in their order and carries them out."""

    def __init__(self, shop: Workshop, lane: Lane, queue: JobQueue) -> None:
        self._shop = shop
        self._lane = lane
        self._queue = queue
        self._route = queue.route
        self._counts = shop.statistics.topics[queue.route.topic.name]
        self._log = structlog.get_logger("worker").bind(topic=queue.route.topic.name, consumer=shop.consumer)

    async def run(self) -> None:
        """Work until the worker stops."""
        shop, lane, queue = self._shop, self._lane, self._queue
        turn, jobs = monotonic_ns(), 0
        while not shop.stopping:
            job = lane.next_job(queue)
            if job is None:
                lane.breathe()
                queue.wake.clear()
                await queue.wake.wait()
                turn = monotonic_ns()
                continue
            if job.entry.gone:
                self._finish(job)
            elif job.due_ns and job.due_ns > shop.clock.timestamp_ns():
                self._park(job)
            elif lane.ordered and shop.clock.timestamp_ns() >= lane.held_until_ns:
                lane.abandon()  # it stood still for longer than its lease; somebody else may be past this job
                self._finish(job)
            elif job.id in shop.cancelled:
                self._cancelled(job)
            elif not job.careful or await self._begun(job):
                await self._carry_out(job)
            jobs += 1
            if not jobs % _LOOK_EVERY and monotonic_ns() - turn > _TURN_NS:
                await asyncio.sleep(0)
                turn = monotonic_ns()

    async def _carry_out(self, job: Job[Any]) -> None:
        entry, counts = job.entry, self._counts
        entry.running[job.index] = job
        counts.running += 1
        try:
            result = self._route.handler(job)
            if result is not None:
                await result
        except JobCancelled as error:
            if not job.cancel_reason:
                self._failed(job, error)
            elif job.cancel_reason == "asked":
                self._cancelled(job)
            else:
                self._left(job)
        except Exception as error:  # a job is foreign code: what it raises is told and outlived
            self._failed(job, error)
        else:
            counts.done += 1
            entry.settle(job.index)
            self._settled(job)
        finally:
            counts.running -= 1
            del entry.running[job.index]

    async def _begun(self, job: Job[Any]) -> bool:
        """Write down that a careful job begins; False when it must not."""
        entry, retry = job.entry, self._route.retry
        if job.attempt > retry.max_attempts:
            job.attempt -= 1
            self._give_up(job, "WorkerDied: every worker that began this job ended while it ran", "WorkerDied")
            return False
        begun = Settlement(entry.entry_id, entry.total, failed=[Failure(job.index, job.attempt, 0)])
        verdicts = await self._shop.settler.write(self._lane, [begun])
        if verdicts is None or verdicts[0] is not Verdict.OPEN:
            self._lane.drop(entry.entry_id, "lost")
            self._finish(job)
            return False
        return True

    def _failed(self, job: Job[Any], error: Exception) -> None:
        self._counts.failed += 1
        text = text_of(error)
        if job.entry.gone:
            self._finish(job)
        elif isinstance(error, JobRejected) or job.attempt >= self._route.retry.max_attempts:
            self._give_up(job, text, place_of(error))
        else:
            self._counts.retried += 1
            wait = self._route.retry.wait_ns(job.id, job.attempt)
            job.due_ns = self._shop.clock.timestamp_ns() + wait
            self._log.warning(
                "job_failed", job=job.id, attempt=job.attempt, error=text, wait_seconds=round(wait / 1e9, 3)
            )
            job.entry.fail(Failure(job.index, job.attempt, job.due_ns // 1_000_000))
            self._lane.mark(job.entry)
            self._shop.settler.rouse()
            self._shop.announce(job, "retrying", 0.0, text)
            job.attempt += 1
            self._park(job)

    def _park(self, job: Job[Any]) -> None:
        """Let a job wait on the clock until it is due."""
        shop, lane = self._shop, self._lane
        name = f"{shop.consumer}.retry.{next(shop.serial)}"

        def due(_: object) -> None:
            shop.alerts.discard(name)
            lane.waiting -= 1
            job.due_ns = 0
            lane.offer(job)

        lane.waiting += 1
        shop.alerts.add(name)
        if job.careful:
            lane.spare()
        shop.clock.set_time_alert_ns(name, job.due_ns, due)

    def _give_up(self, job: Job[Any], error: str, place: str) -> None:
        self._counts.dead += 1
        self._log.error("job_dead_lettered", job=job.id, attempts=job.attempt, error=error)
        job.entry.give_up(self._shop.intake.letter_of(job, error, place))
        self._shop.announce(job, "dead", 0.0, error)
        self._settled(job)

    def _cancelled(self, job: Job[Any]) -> None:
        self._counts.cancelled += 1
        self._shop.ended.append(job.id)
        self._log.info("job_cancelled", job=job.id)
        job.entry.settle(job.index)
        self._shop.announce(job, "cancelled", 0.0, "")
        self._settled(job)

    def _left(self, job: Job[Any]) -> None:
        """Taken over, or stopping: whoever has the job next begins it again."""
        if job.careful and not job.entry.gone:  # it was written down as begun, and nobody died of it
            job.entry.fail(Failure(job.index, job.attempt - 1, 0))
            self._lane.mark(job.entry)
            self._shop.settler.rouse()
        self._finish(job)

    def _settled(self, job: Job[Any]) -> None:
        self._lane.mark(job.entry)
        self._shop.settler.rouse()
        self._finish(job)

    def _finish(self, job: Job[Any]) -> None:
        if job.careful:
            self._lane.spare()
        self._lane.ended(job)
