"""The host: reads, runs the engine, commits; the same loop whatever the engine."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from libs.clock import Clock, TestClock
from libs.clock.live import monotonic_ns
from libs.contracts.system import EngineState
from libs.engine.commands import ReplyBook
from libs.engine.committer import Committer
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Engine, Outbox
from libs.engine.host_settings import HostSettings as HostSettings
from libs.engine.inputs import InputBook
from libs.engine.lanes import PriorityReader
from libs.engine.lease import LeaseKeeper
from libs.engine.metrics import HostMetrics
from libs.engine.recovery import recover
from libs.engine.snapshots import SnapshotKeeper
from libs.engine.standby import Standby
from libs.engine.turn import handle_batch
from libs.engine.vitals import StandbyFact
from libs.messagebus.codec import Codec
from libs.messagebus.priority import Priority
from libs.messagebus.topic import TopicRegistry
from libs.messagebus.transport import Transport

_SECOND = 1_000_000_000
_PAUSE_POLL_SECONDS = 0.2


class Host:
    """Runs one engine against a transport.

    Attributes:
        state: starting, standby, running, paused, stopped or failed.
        committer: Lease, positions, commit count, lag.
        lease: Renews the lease.
        standby: While it stands by for another host, and after it took over.
        leading: Set unless it stands by.
        inputs: Arrivals by topic, dead letters.
        replayed: Journal entries done again at start.
    """

    def __init__(
        self,
        make_engine: Any,
        transport: Transport,
        clock: Clock,
        codec: Codec,
        registry: TopicRegistry,
        metrics: HostMetrics,
        settings: HostSettings,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._settings = settings
        engine_clock, outbox = TestClock(), Outbox()
        self.engine: Engine = make_engine(engine_clock, outbox)
        self.core = EngineCore(self.engine, engine_clock, outbox, codec, registry, follow_events=settings.follow_events)
        self.name = self.engine.name
        self.state: EngineState = "standby" if settings.standby else "starting"
        self.committer = Committer(self.name, transport, metrics)
        self.lease = LeaseKeeper(self.name, transport, settings.lease_seconds, self.committer.on_transport_error)
        self.standby = Standby(self.core, self.committer, transport, settings) if settings.standby else None
        self.leading = asyncio.Event()
        if self.standby is None:
            self.leading.set()
        self.replies = ReplyBook()
        self.inputs = InputBook(self.name, clock, metrics)
        self.replayed = 0
        self._snapshots = SnapshotKeeper(
            self.core, self.committer, transport, settings.snapshot_seconds, settings.trims, settings.snapshot_events
        )
        self._reader: PriorityReader | None = None
        self._committing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()
        self._log = structlog.get_logger("host").bind(engine=self.name)

    # -- life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Recover, then read, handle and commit until :meth:`stop`; the last act is a snapshot and giving up the lease.

        A standby follows its primary first, and does nothing else if it is stopped before it takes over.

        Raises:
            FencedError: If another host of this engine took over.
            TrimmedError, SnapshotError, OtherCodeError, DeterminismError: If the state cannot be recovered.
        """
        keeping: asyncio.Task[None] | None = None
        try:
            if await self._take_lease():
                keeping = asyncio.create_task(self.lease.keep(self.committer.lease.epoch), name=f"{self.name}.lease")
                await self._open()
                await self._run_until_stopped(keeping)
                await self._snapshots.take(is_clean=True)
                await self.lease.release(self.committer.lease.epoch, self.committer.retrying)
        except Exception:
            self.state = "failed"
            raise
        finally:
            if keeping is not None:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
        self.state = "stopped"

    async def _run_until_stopped(self, keeping: asyncio.Task[None]) -> None:
        assert self._reader is not None
        reading = asyncio.create_task(self._reader.run(), name=f"{self.name}.lanes")
        probing = asyncio.create_task(self.committer.probe(list(self.core.streams)), name=f"{self.name}.probe")
        working = asyncio.create_task(self._work(), name=f"{self.name}.work")
        try:
            await asyncio.wait({reading, probing, working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (working, keeping, reading, probing):
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
        finally:
            for task in (reading, probing, working):
                task.cancel()
            await asyncio.gather(reading, probing, working, return_exceptions=True)

    def stop(self) -> None:
        """Ask the host to finish its batch, commit, take a snapshot and return from :meth:`run`."""
        self._stopping.set()
        self._running.set()
        if self._reader is not None:
            self._reader.arrived.set()

    def pause(self) -> None:
        """Stop taking input after the present batch."""
        self._running.clear()
        if self.state == "running":
            self.state = "paused"

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._running.set()
        if self.state == "paused":
            self.state = "running"

    async def snapshot_now(self) -> int:
        """Take a snapshot after the present batch; returns the commit number it stands at."""
        stored = self._snapshots.want()
        if self._reader is not None:
            self._reader.arrived.set()
        await stored
        return self.snapshot_number

    @property
    def snapshot_ns(self) -> int:
        """Monotonic time of the last snapshot, or of the start."""
        return self._snapshots.taken_ns

    @property
    def snapshot_number(self) -> int:
        """Commit the last snapshot stands at, 0 = none since the start."""
        return self._snapshots.number

    async def _take_lease(self) -> bool:
        """Hold the lease; False if told to stop while standing by for it."""
        if self.standby is not None:
            return await self.standby.run(self._stopping)
        await self.committer.acquire(list(self.core.streams))
        return True

    async def _open(self) -> None:
        committer = self.committer
        if committer.commits == 0:
            self.core.epoch = committer.lease.epoch
            await self._commit(self.core.start(max(self._settings.start_ns, self._batch_time())))
        elif self.standby is None:
            await self._recover()
        else:
            self.core.epoch, self.replayed = committer.lease.epoch, self.standby.restored
            if self.standby.from_other_code:
                await self._snapshots.take()
        priorities = {name: Priority(priority) for name, priority in self.core.streams.items()}
        self._reader = PriorityReader(self._transport, priorities, committer.positions, committer.on_transport_error)
        self._snapshots.taken_ns = monotonic_ns()
        self.state = "running" if self._running.is_set() else "paused"
        self.leading.set()

    async def _recover(self) -> None:
        committer, accepts = self.committer, self._settings.accept_other_code
        done = await recover(
            self.core, self._transport, committer.commits, committer.retrying, accept_other_code=accepts
        )
        self.core.epoch = committer.lease.epoch
        committer.last_hash, self.replayed = done.last_hash, done.replayed
        self._log.info("recovered", snapshot=done.snapshot_number, replayed=done.replayed, commits=committer.commits)
        if done.from_other_code:
            await self._snapshots.take()  # what comes now is the work of this version alone

    # -- the loop ---------------------------------------------------------------------------------

    async def _work(self) -> None:
        reader, snapshots = self._reader, self._snapshots
        assert reader is not None
        try:
            while not self._stopping.is_set():
                if not self._running.is_set():
                    await self._settle()
                    await snapshots.take_if_due()
                    await self._wait_while_paused()
                    continue
                entries = reader.take()
                if not entries and not self._timers_due():
                    await self._settle()
                    await snapshots.take_if_due()
                    self.committer.last_progress_ns = monotonic_ns()
                    await self._wait_for_work(reader)
                    continue
                batch, spent_ns = await handle_batch(self.core, reader, entries, self._batch_time())
                self.inputs.note(batch, spent_ns / _SECOND)
                snapshots.note(batch.events)
                await self._settle()  # one commit in flight: the next batch was handled meanwhile
                self._committing = asyncio.create_task(self._commit(batch), name=f"{self.name}.commit")
                if snapshots.is_due:
                    await self._settle()
                    await snapshots.take_if_due()
                else:
                    await asyncio.sleep(0)
            await self._settle()
        finally:
            if self._committing is not None:  # only after an error or a cancellation
                self._committing.cancel()

    async def _settle(self) -> None:
        """Wait until nothing is in flight."""
        committing, self._committing = self._committing, None
        if committing is not None:
            await committing

    async def _wait_while_paused(self) -> None:
        try:
            async with asyncio.timeout(_PAUSE_POLL_SECONDS):
                await self._running.wait()
        except TimeoutError:
            pass  # look again whether a snapshot is wanted

    async def _wait_for_work(self, reader: PriorityReader) -> None:
        if reader.queued or self._stopping.is_set() or self._snapshots.is_due:
            return
        try:
            async with asyncio.timeout(self._idle_seconds()):
                await reader.arrived.wait()
        except TimeoutError:
            pass
        if not reader.queued:
            reader.arrived.clear()

    def _batch_time(self) -> int:
        now = self.core.clock.timestamp_ns()
        return now if self._settings.follow_events else max(now, self._clock.timestamp_ns())

    def _next_timer_ns(self) -> int | None:
        if self._settings.follow_events:
            return None
        clock = self.core.clock
        return min((clock.next_time_ns(name) for name in clock.timer_names), default=None)

    def _timers_due(self) -> bool:
        due = self._next_timer_ns()
        return due is not None and due <= self._clock.timestamp_ns()

    def _idle_seconds(self) -> float:
        due = self._next_timer_ns()
        if due is None:
            return self._settings.snapshot_seconds
        return max(0.0, min(self._settings.snapshot_seconds, (due - self._clock.timestamp_ns()) / _SECOND))

    async def _commit(self, batch: Batch) -> None:
        await self.committer.commit(batch)
        if batch.replies:
            self.replies.settle(batch.replies)

    @property
    def standby_fact(self) -> StandbyFact | None:
        """How it stands to its primary, None unless it stands by."""
        return self.standby.fact if self.standby is not None and self.state == "standby" else None

    @property
    def lag_entries(self) -> int:
        """Entries read and not taken, or 1 when the streams hold more, or a commit waits for the bus."""
        queued = self._reader.queued if self._reader else 0
        return max(queued, 1 if self.committer.behind or self.committer.is_busy else 0)
