"""Writes down what was done, in groups: while one write is in flight, what ends meanwhile gathers for the next.

Each job is acknowledged by itself in effect: a worker that dies leaves only the jobs of one round trip to be done
again, also inside a record batch. In cost it is one script a round trip, however many jobs ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from libs.clock import Clock
from libs.messagebus.backoff import backoff_seconds
from libs.messagebus.errors import TransportError
from libs.messagebus.workers.entries import OpenEntry
from libs.messagebus.workers.errors import InactiveError
from libs.messagebus.workers.lane import Lane
from libs.messagebus.workers.queue import Settlement, Verdict, WorkQueue
from libs.messagebus.workers.statistics import WorkerStatistics
from libs.messagebus.workers.waiting import wait_ns

#: Events and entries of one write at most: about a millisecond of the server's time.
_MAX_EVENTS = 2_048
_MAX_ENTRIES = 256


class Settler:
    """The one writer of a worker."""

    def __init__(
        self, queue: WorkQueue, group: str, consumer: str, letters: str, clock: Clock, statistics: WorkerStatistics
    ) -> None:
        """Prepare a settler; ``letters`` is the stream of dead letters."""
        self._queue = queue
        self._group = group
        self._consumer = consumer
        self._letters = letters
        self._clock = clock
        self._statistics = statistics
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._log = structlog.get_logger("worker").bind(group=group, consumer=consumer)

    def rouse(self) -> None:
        """Something is to be written down."""
        if not self._wake.is_set():
            self._wake.set()
            self._idle.clear()

    async def run(self, lanes: Sequence[Lane]) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for lane in lanes:
                while lane.dirty:
                    await self._settle_some(lane)
            if not self._wake.is_set():
                self._idle.set()

    async def drained(self) -> None:
        """Return when everything is written down."""
        await self._idle.wait()

    async def write(self, lane: Lane, news: Sequence[Settlement]) -> list[Verdict] | None:
        """Write until the bus has it; None when another worker serves this ordered stream now.

        Raises:
            TransportRefusedError: If the server refuses until somebody changes a setting.
        """
        failures = 0
        while True:
            try:
                return await self._queue.settle(
                    lane.stream, self._group, self._consumer, news, self._letters, ordered=lane.ordered
                )
            except InactiveError as error:
                self._log.warning("stream_taken_over", stream=lane.stream, error=str(error))
                lane.abandon()
                return None
            except TransportError as error:
                if not error.retriable:
                    raise
                wait_s = backoff_seconds(self._consumer, failures)
                failures += 1
                self._log.warning("settle_failed", error=str(error), attempt=failures, wait_seconds=round(wait_s, 3))
                await wait_ns(self._clock, f"{self._consumer}.settle.{lane.stream}", int(wait_s * 1e9))

    async def _settle_some(self, lane: Lane) -> None:
        entries: list[OpenEntry] = []
        news: list[Settlement] = []
        events = 0
        while lane.dirty and len(entries) < _MAX_ENTRIES and events < _MAX_EVENTS:
            entry = lane.dirty.pop(next(iter(lane.dirty)))
            entries.append(entry)
            news.append(entry.take_news())
            events += len(news[-1].settled)
        verdicts = await self.write(lane, news)
        if verdicts is None:
            return
        for entry, verdict in zip(entries, verdicts, strict=True):
            if verdict is Verdict.OPEN:
                continue
            if verdict is Verdict.GONE and entry.left:
                self._statistics.taken_away += 1
                entry.abandon("lost")
            lane.close(entry)
