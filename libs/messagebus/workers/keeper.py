"""Gives signs of life for what a worker has open, takes over what dead workers left, hears who wants what cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from libs.clock import Clock, TimeEvent, UnknownTimerError
from libs.messagebus.codec import Codec
from libs.messagebus.errors import DecodeError, TransportError
from libs.messagebus.workers.errors import GroupLostError
from libs.messagebus.workers.lane import Lane
from libs.messagebus.workers.policy import WorkerSettings
from libs.messagebus.workers.queue import Backlog, WorkQueue
from libs.messagebus.workers.reader import Reader
from libs.messagebus.workers.runner import Workshop

#: Entries taken over in one look; more would only wait here while other workers are idle.
_CLAIM = 16
_CHUNK = 500
#: A consumer that holds nothing is forgotten after so many times the visibility.
_FORGET = 10


class Keeper:
    """Looks three times in a visibility period, by the injected clock.

    Attributes:
        looks: Times it has looked; for tests.
    """

    def __init__(
        self,
        shop: Workshop,
        queue: WorkQueue,
        codec: Codec,
        group: str,
        settings: WorkerSettings,
        lanes: Sequence[tuple[Lane, Reader]],
    ) -> None:
        self.looks = 0
        self._shop = shop
        self._queue = queue
        self._codec = codec
        self._group = group
        self._settings = settings
        self._lanes = list(lanes)
        self._due = asyncio.Event()
        self._timer = f"{shop.consumer}.keeper"
        self._log = structlog.get_logger("worker").bind(group=group, consumer=shop.consumer)

    async def run(self) -> None:
        """Look until cancelled.

        Raises:
            TransportRefusedError: If the server refuses until somebody changes a setting.
        """
        clock: Clock = self._shop.clock
        clock.set_timer_ns(self._timer, self._settings.beat_ns, callback=self._ring)
        try:
            while True:
                self._due.clear()
                await self._look()
                self.looks += 1
                await self._due.wait()
        finally:
            with suppress(UnknownTimerError):
                clock.cancel_timer(self._timer)

    def _ring(self, _: TimeEvent) -> None:
        self._due.set()

    async def _look(self) -> None:
        try:
            await self._hear_cancels()
            for lane, reader in self._lanes:
                try:
                    await self._look_at(lane, reader)
                except GroupLostError as error:
                    await reader.recreate(error)
        except TransportError as error:
            if not error.retriable:
                raise
            self._log.warning("look_failed", error=str(error))

    async def _look_at(self, lane: Lane, reader: Reader) -> None:
        queue, group, consumer = self._queue, self._group, self._shop.consumer
        visibility = self._settings.visibility_ms
        if lane.ordered:
            await self._hold(lane, reader)
        ids = list(lane.opened)
        for first in range(0, len(ids), _CHUNK):
            for entry_id in await queue.extend(lane.stream, group, consumer, ids[first : first + _CHUNK]):
                self._shop.statistics.taken_away += 1
                self._log.warning("entry_taken_away", stream=lane.stream, entry_id=entry_id)
                lane.drop(entry_id, "lost")
        if lane.active.is_set() and lane.has_room:
            await reader.claim(visibility, _CLAIM)
        facts = self._shop.statistics.streams[lane.stream]
        backlog = await queue.backlog(lane.stream, group)
        facts.pending, facts.oldest_seconds = backlog.pending, self._age(backlog)
        if self.looks % _FORGET == 0:
            await queue.sweep(lane.stream, group, _FORGET * visibility)

    async def _hold(self, lane: Lane, reader: Reader) -> None:
        """Serve an ordered stream, or stand by; what the one before left comes before anything new."""
        queue, visibility = self._queue, self._settings.visibility_ms
        asked_ns = self._shop.clock.timestamp_ns()
        if not await queue.hold(lane.stream, self._group, self._shop.consumer, visibility):
            if lane.active.is_set():
                self._log.warning("stream_taken_over", stream=lane.stream)
                lane.abandon()
            return
        lane.held_until_ns = asked_ns + visibility * 1_000_000
        if lane.active.is_set():
            return
        await reader.open()
        while await reader.claim(0, _CHUNK) >= _CHUNK:
            pass
        self._log.info("stream_held", stream=lane.stream, taken_over=len(lane.opened))
        lane.active.set()

    async def _hear_cancels(self) -> None:
        shop = self._shop
        if shop.ended:
            ended, shop.ended = shop.ended, []
            await self._queue.forget_cancels(self._group, ended)
        shop.cancelled = await self._queue.cancels(self._group)
        if shop.cancelled:
            ask_running([lane for lane, _ in self._lanes], shop.cancelled)

    def _age(self, backlog: Backlog) -> float | None:
        """Seconds since the oldest unfinished entry was published; None where there is none or it cannot be read."""
        if backlog.oldest is None:
            return None
        try:
            batch, _ = self._codec.salvage(backlog.oldest.data)
        except DecodeError:
            return None
        return max(0.0, (self._shop.clock.timestamp_ns() - batch.ts_publish) / 1e9)


def ask_running(lanes: Sequence[Lane], job_ids: frozenset[str]) -> None:
    """Ask running jobs to end."""
    for lane in lanes:
        for entry in lane.opened.values():
            for running in entry.running.values():
                if running.id in job_ids:
                    running.cancel_reason = "asked"
