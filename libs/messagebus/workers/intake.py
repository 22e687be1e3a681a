"""From an entry that was given to a worker to the jobs in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from libs.clock import Clock
from libs.contracts.dead_letters import dead_letter
from libs.messagebus.codec import BadEvent, Codec
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import DecodeError
from libs.messagebus.topic import Event
from libs.messagebus.transport import Entry
from libs.messagebus.workers.entries import OpenEntry
from libs.messagebus.workers.job import Job
from libs.messagebus.workers.policy import JobRoute
from libs.messagebus.workers.queue import Delivery, Letter, Standing
from libs.messagebus.workers.statistics import WorkerStatistics

_NOTHING = RecordBatch("", 0, 0, [])


class Intake:
    """Decodes deliveries of one worker and writes its dead letters."""

    def __init__(
        self,
        codec: Codec,
        group: str,
        consumer: str,
        clock: Clock,
        statistics: WorkerStatistics,
        report: Callable[[Job[Any], float, str], None],
    ) -> None:
        self._codec = codec
        self._group = group
        self._consumer = consumer
        self._clock = clock
        self._report = report
        self._statistics = statistics
        self._serial = count()

    def open(
        self, delivery: Delivery, standing: Standing, routes: Mapping[type[Event], JobRoute[Any]]
    ) -> tuple[OpenEntry, list[Job[Any]]]:
        """Decode an entry.

        Returns:
            The entry, and the jobs in it that are left to be done, in order. What is not wanted is settled at once, and
            what cannot be decoded is a dead letter at once: no retry would help it.
        """
        entry, careful = delivery.entry, delivery.deliveries > 1
        if delivery.target not in ("", self._group):
            return OpenEntry(entry, _NOTHING, 0, careful, Standing()), []
        try:
            bad: list[BadEvent] = []
            batch = self._codec.decode(entry.data)
        except DecodeError as error:
            try:
                batch, bad = self._codec.salvage(entry.data)
            except DecodeError:
                return self._unreadable(entry, str(error), standing), []
        opened = OpenEntry(entry, batch, len(batch.events), careful, standing)
        for event in bad:
            if event.index not in standing.settled:
                self._undecodable(opened, event)
        jobs: list[Job[Any]] = []
        broken = {event.index for event in bad}
        for index, event in enumerate(batch.events):
            if index in standing.settled or index in broken:
                continue
            route = routes.get(type(event))
            if route is None:
                opened.settle(index)
                continue
            found = Job(opened, index, route.topic, event, self._group, self._report)
            if (failure := standing.failed.get(index)) is not None:
                found.attempt, found.due_ns = failure.attempts + 1, failure.due_ms * 1_000_000
            jobs.append(found)
        return opened, jobs

    def letter_of(self, job: Job[Any], error: str, place: str) -> Letter:
        """The dead letter of a job that is given up."""
        payload = self._codec.encode_event(job.event)
        return self._letter(job.entry.entry, job.index, job.id, job.topic.name, error, payload, place, job.attempt)

    def _unreadable(self, entry: Entry, error: str, standing: Standing) -> OpenEntry:
        opened = OpenEntry(entry, _NOTHING, 1, False, standing)
        if opened.left:
            self._statistics.undecodable += 1
            opened.give_up(self._letter(entry, 0, "", "", error, entry.data, error, 1))
        return opened

    def _undecodable(self, opened: OpenEntry, bad: BadEvent) -> None:
        self._statistics.undecodable += 1
        event_id = opened.batch.event_id(bad.index)
        letter = self._letter(opened.entry, bad.index, event_id, "", bad.error, bad.payload, bad.error, 1)
        opened.give_up(letter)

    def _letter(
        self, entry: Entry, index: int, event_id: str, topic: str, error: str, payload: bytes, place: str, attempts: int
    ) -> Letter:
        now = self._clock.timestamp_ns()
        letter = dead_letter(now, self._group, entry, index, event_id, topic, error, payload, place, attempts)
        return Letter(index, self._codec.encode(RecordBatch(self._consumer, next(self._serial), now, [letter])))
