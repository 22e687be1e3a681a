"""When a host takes a snapshot, and the trimming that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from libs.clock.live import monotonic_ns
from libs.engine.committer import Committer
from libs.engine.core import EngineCore
from libs.engine.snapshot import take_image
from libs.messagebus.transport import Transport

_SECOND = 1_000_000_000


class SnapshotKeeper:
    """Takes the snapshots of one host.

    Args:
        every_seconds: Time between snapshots while anything changes.
        every_events: Events read between them, 0 = however many; it bounds what a recovery has to do again.
        trims: Streams to trim after each, with the entries to keep.

    Attributes:
        taken_ns: Monotonic time of the last one, or of the start.
        number: Commit it stands at, 0 = none since the start.
    """

    def __init__(
        self,
        core: EngineCore,
        committer: Committer,
        transport: Transport,
        every_seconds: float,
        trims: Mapping[str, int],
        every_events: int = 0,
    ) -> None:
        self.taken_ns = 0
        self.number = 0
        self._core = core
        self._committer = committer
        self._transport = transport
        self._every_seconds = every_seconds
        self._trims = trims
        self._every_events = every_events
        self._events = 0
        self._wanted = False
        self._done: asyncio.Future[None] | None = None

    @property
    def is_due(self) -> bool:
        """Whether one should be taken before the next batch."""
        if self._wanted or (self._every_events and self._events >= self._every_events):
            return True
        age = (monotonic_ns() - self.taken_ns) / _SECOND
        return age >= self._every_seconds and self._committer.commits > self.number

    def note(self, events: int) -> None:
        """So many more events are in the commits."""
        self._events += events

    def want(self) -> asyncio.Future[None]:
        """Ask for one; the future is done when it is stored."""
        if self._done is None or self._done.done():
            self._done = asyncio.get_running_loop().create_future()
        self._wanted = True
        return self._done

    async def take_if_due(self) -> None:
        """See :meth:`take`."""
        if self.is_due:
            await self.take()

    async def take(self, *, is_clean: bool = False) -> None:
        """Store the state, unless it is stored already.

        Only between batches and with no commit in flight: the state must be that of ``commits``.

        Args:
            is_clean: The last act of a host that ends in order: stored in any case, so that another version of the
                code finds it marked as such.
        """
        self._wanted = False
        self._events = 0
        committer = self._committer
        if committer.commits > self.number or is_clean:
            image = take_image(self._core, committer.commits, committer.positions, is_clean=is_clean)
            name, epoch = self._core.engine.name, committer.lease.epoch
            await committer.retrying(lambda: self._transport.save_snapshot(name, epoch, image, committer.positions))
            self.number = image.number
            if self._trims:
                await committer.retrying(lambda: self._transport.trim(self._trims))
        self.taken_ns = monotonic_ns()
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
