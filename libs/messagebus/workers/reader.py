"""Takes the entries of one stream for a worker, and creates its group again when it is gone."""

from __future__ import annotations

import structlog

from libs.messagebus.backoff import backoff_seconds
from libs.messagebus.errors import TransportError
from libs.messagebus.workers.errors import GroupLostError, InactiveError
from libs.messagebus.workers.lane import Lane
from libs.messagebus.workers.policy import WorkerSettings
from libs.messagebus.workers.queue import Delivery, Standing, WorkQueue
from libs.messagebus.workers.runner import Workshop
from libs.messagebus.workers.waiting import wait_ns


class Reader:
    """The one who takes from a stream; new entries and those left behind come through here."""

    def __init__(self, shop: Workshop, queue: WorkQueue, lane: Lane, group: str, settings: WorkerSettings) -> None:
        self._shop = shop
        self._queue = queue
        self._lane = lane
        self._group = group
        self._settings = settings
        self._opened = False
        self._log = structlog.get_logger("worker").bind(group=group, stream=lane.stream, consumer=shop.consumer)

    async def run(self) -> None:
        """Take until cancelled.

        Raises:
            TransportRefusedError: If the server refuses until somebody changes a setting.
        """
        lane, failures = self._lane, 0
        while True:
            try:
                if not self._opened:
                    await self.open()
                await lane.active.wait()
                await lane.wait_for_room()
                lane.adapt(self._shop.clock.timestamp_ns())
                found = await self._queue.take(
                    lane.stream, self._group, self._shop.consumer, lane.count, self._settings.block_ms,
                    ordered=lane.ordered,
                )  # fmt: skip
                self._accept(found, [Standing()] * len(found))
                failures = 0
            except GroupLostError as error:
                await self.recreate(error)
            except InactiveError as error:
                self._log.warning("stream_taken_over", error=str(error))
                lane.abandon()
            except TransportError as error:
                if not error.retriable:
                    raise
                wait_s = backoff_seconds(f"{self._shop.consumer}.{lane.stream}", failures)
                failures += 1
                self._log.warning("take_failed", error=str(error), attempt=failures, wait_seconds=round(wait_s, 3))
                await wait_ns(self._shop.clock, f"{self._shop.consumer}.take.{lane.stream}", int(wait_s * 1e9))

    async def open(self) -> None:
        """Make sure that the group exists."""
        if await self._queue.open_group(self._lane.stream, self._group):
            self._log.info("group_created", begins="at the oldest entry")
        self._opened = True

    async def recreate(self, error: GroupLostError) -> None:
        """The group is gone (FLUSHALL, XGROUP DESTROY, a server without its data): begin again at the oldest entry.

        What this worker has open belonged to the old group. It goes on with it: what it finishes is no longer pending
        and says so. Entries that survived are given out again, so jobs that were done are done again; the idempotency
        key is what keeps their effect single.
        """
        try:
            created = await self._queue.open_group(self._lane.stream, self._group)
        except TransportError as failure:
            if not failure.retriable:
                raise
            self._opened = False
            return
        if created:  # by this worker; another one may have been quicker
            self._shop.statistics.groups_recreated += 1
            self._log.warning("group_recreated", begins="at the oldest entry: jobs may be done again", error=str(error))

    async def claim(self, idle_ms: int, count: int) -> int:
        """Take over what others left behind; returns how many entries there were.

        Raises:
            GroupLostError: If the group does not exist.
        """
        lane, group, statistics = self._lane, self._group, self._shop.statistics
        claimed = await self._queue.claim(lane.stream, group, self._shop.consumer, idle_ms, count)
        for entry_id in claimed.lost:
            statistics.trimmed += 1
            self._log.error("entry_trimmed", entry_id=entry_id, text="its jobs were not done and cannot be any more")
        fresh = [one for one in claimed.deliveries if one.entry.entry_id not in lane.opened]
        if fresh:
            statistics.claimed += len(fresh)
            self._log.info("entries_claimed", count=len(fresh), first=fresh[0].entry.entry_id)
            standings = await self._queue.standing(lane.stream, group, [one.entry.entry_id for one in fresh])
            self._accept(fresh, standings)
        return len(claimed.deliveries) + len(claimed.lost)

    def _accept(self, found: list[Delivery], standings: list[Standing]) -> None:
        shop, lane = self._shop, self._lane
        for delivery, standing in zip(found, standings, strict=True):
            entry, jobs = shop.intake.open(delivery, standing, lane.routes)
            lane.add(entry, jobs)
        if lane.dirty:
            shop.settler.rouse()
        if found:
            lane.note_taken(len(found), shop.clock.timestamp_ns())
