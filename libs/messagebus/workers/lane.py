"""One stream of one worker: the entries taken of it, and its jobs in the order they may begin."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from libs.messagebus.topic import Event
from libs.messagebus.workers.entries import OpenEntry
from libs.messagebus.workers.job import CancelReason, Job
from libs.messagebus.workers.policy import JobRoute

#: A take that was worked off faster than this is followed by a larger one, a slower one than four times this by a
#: smaller one: quick jobs are taken in bulk, long ones one by one, so that idle workers find some too.
_QUICK_NS = 20_000_000


class JobQueue:
    """Jobs of one topic that may begin now.

    Attributes:
        careful: Jobs of entries that somebody may have died of; one of them at a time.
        running: Jobs that run.
    """

    __slots__ = ("careful", "ready", "route", "running", "wake")

    def __init__(self, route: JobRoute[Any]) -> None:
        self.route = route
        self.ready: deque[Job[Any]] = deque()
        self.careful: deque[Job[Any]] = deque()
        self.running = 0
        self.wake = asyncio.Event()


class Lane:
    """What a worker knows about one stream.

    Attributes:
        ordered: One worker serves it, and jobs with one key follow each other.
        active: Set while this worker may take; always, unless the stream is ordered.
        held_until_ns: When the lease on an ordered stream runs out, unless it is renewed.
        opened: Entries taken and not finished, oldest first.
        dirty: Those of them with something to write down.
        ready: Jobs that could begin.
        waiting: Jobs that wait for a retry, or behind one with their key.
        count: Entries the next take asks for.
    """

    def __init__(self, stream: str, routes: list[JobRoute[Any]], max_read: int, max_waiting: int) -> None:
        self.stream = stream
        self.routes: dict[type[Event], JobRoute[Any]] = {route.topic.event: route for route in routes}
        self.ordered = any(route.ordered for route in routes)
        self.queues = {route.topic.name: JobQueue(route) for route in routes}
        self.active = asyncio.Event()
        self.held_until_ns = 0
        self.opened: dict[str, OpenEntry] = {}
        self.dirty: dict[str, OpenEntry] = {}
        self.ready = 0
        self.waiting = 0
        self.count = 1
        self.careful_busy = False
        self._max_read, self._max_waiting = max_read, max_waiting
        self._space = asyncio.Event()
        self._low = 0
        self._taken = self._taken_ns = self._begun = self._ended = 0
        self._behind: dict[str, deque[Job[Any]]] = {}
        if not self.ordered:
            self.active.set()

    # -- reading ----------------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether more should be taken."""
        return self.ready <= self._low and self.waiting < self._max_waiting

    async def wait_for_room(self) -> None:
        """Return when more should be taken."""
        while not self.has_room:
            self._space.clear()
            await self._space.wait()

    def note_taken(self, entries: int, now_ns: int) -> None:
        """Entries were taken; read on while the second half of their jobs is worked off, where there is a half."""
        self._taken, self._taken_ns = entries, now_ns
        self._begun, self._ended = self.ready, 0
        self._low = self.ready // 2 if self.count > 1 else 0

    def adapt(self, now_ns: int) -> None:
        """There is room again: adapt the size of the next take to how fast the jobs of the last one were done.

        Jobs that merely began say nothing: more taken now would wait behind them while another worker is idle.
        """
        spent = now_ns - self._taken_ns
        if self._taken >= self.count and spent < _QUICK_NS and 0 < self._begun <= 2 * self._ended:
            self.count = min(self._max_read, self.count * 2)
        elif spent > 4 * _QUICK_NS:
            self.count = max(1, self.count // 2)

    # -- jobs -------------------------------------------------------------------------------------

    def add(self, entry: OpenEntry, jobs: list[Job[Any]]) -> None:
        """An entry was taken; its jobs begin when their turn comes."""
        self.opened[entry.entry_id] = entry
        if entry.is_urgent:
            self.mark(entry)
        for found in jobs:
            if self.ordered:
                found.key = found.topic.key_of(found.event)
                if (line := self._behind.get(found.key)) is not None:
                    line.append(found)
                    self.waiting += 1
                    continue
                self._behind[found.key] = deque()
            self.offer(found)

    def offer(self, job: Job[Any]) -> None:
        """A job may begin."""
        queue = self.queues[job.topic.name]
        (queue.careful if job.careful else queue.ready).append(job)
        self.ready += 1
        queue.wake.set()

    def next_job(self, queue: JobQueue) -> Job[Any] | None:
        """The next job of a topic that may begin, None when there is none."""
        if queue.careful and not self.careful_busy:
            self.careful_busy = True
            self.ready -= 1
            return queue.careful.popleft()
        if not queue.ready:
            return None
        self.ready -= 1
        return queue.ready.popleft()

    def ended(self, job: Job[Any]) -> None:
        """A job is settled or dropped: the next one with its key may begin."""
        self._ended += 1
        if self.ordered:
            line = self._behind[job.key]
            if line:
                self.waiting -= 1
                self.offer(line.popleft())
            else:
                del self._behind[job.key]
        if self.ready <= self._low:
            self.breathe()

    def spare(self) -> None:
        """A careful job has ended or failed: the next of them may begin."""
        self.careful_busy = False
        for queue in self.queues.values():
            if queue.careful:
                queue.wake.set()

    def breathe(self) -> None:
        """Something ended: there may be room."""
        if self.waiting < self._max_waiting and self.ready <= self._low:
            self._space.set()

    def mark(self, entry: OpenEntry) -> None:
        """An entry has something to write down."""
        self.dirty[entry.entry_id] = entry

    def close(self, entry: OpenEntry) -> None:
        """An entry is finished, or was abandoned."""
        self.opened.pop(entry.entry_id, None)
        self.dirty.pop(entry.entry_id, None)
        self.breathe()

    def drop(self, entry_id: str, reason: CancelReason) -> None:
        """Somebody else has an entry: nothing more is done for it here."""
        if (entry := self.opened.get(entry_id)) is not None:
            entry.abandon(reason)
            self.close(entry)

    def abandon(self) -> None:
        """Another worker serves this ordered stream now: forget everything."""
        self.active.clear()
        for entry_id in list(self.opened):
            self.drop(entry_id, "lost")
