"""A hot standby: a second host of an engine that does everything again as it is committed, and takes over.

It restores the newest snapshot, replays the journal entries of its primary one by one with the outputs withheld and
compares every hash: it is the recovery of its primary going on all the time, and a check of determinism on live data.
When the lease is over (:mod:`libs.engine.lease`) it takes the next epoch *if the lease still looks as it did*: one
standby wins, and a primary that moved in the meantime keeps what it has. There is then nothing left to replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from libs.engine.committer import Committer
from libs.engine.core import EngineCore
from libs.engine.host_settings import HostSettings
from libs.engine.journal import decode_journal
from libs.engine.lease import LOOKS, LeaseWatch
from libs.engine.recovery import recover
from libs.engine.replayer import Replayer
from libs.engine.vitals import StandbyFact
from libs.messagebus.errors import StateLostError, TransportError, TrimmedError
from libs.messagebus.transport import LeaseView, Transport

#: Entries replayed between two looks at the lease.
_PAGE = 32
_SLOWEST_LOOK_SECONDS = 0.25


class Standby:
    """Follows the primary of one engine until it takes its place.

    Args:
        core: The engine, in its initial state.
        committer: Told how far the standby has come, and given the lease in the end.
        settings: Of the host.

    Attributes:
        may_lead: Whether it may take over; where a process has several engines the others wait for the first, so that
            of two standbys one gets them all.
        restored: Commit up to which it had to recover at its start.
        from_other_code: Whether what it did again was written by other code, see :class:`Recovery`.
    """

    def __init__(self, core: EngineCore, committer: Committer, transport: Transport, settings: HostSettings) -> None:
        self.may_lead: Callable[[], bool] = lambda: True
        self.restored = 0
        self.from_other_code = False
        self._core = core
        self._committer = committer
        self._transport = transport
        self._lease_seconds = settings.lease_seconds
        self._look_seconds = min(_SLOWEST_LOOK_SECONDS, settings.lease_seconds / LOOKS)
        self._accepts = settings.accept_other_code
        self._watch = LeaseWatch(settings.lease_seconds)
        self._view = LeaseView(0, 0, 0, False)
        self._replayer: Replayer | None = None
        self._last_entry = b""
        self._level_at = 0.0
        self._log = structlog.get_logger("standby").bind(engine=core.engine.name)

    async def run(self, stopping: asyncio.Event) -> bool:
        """Follow until the lease is ours; False when told to stop first.

        Raises:
            SnapshotError, OtherCodeError, TrimmedError, DeterminismError: If the journal cannot be followed.
            StateLostError: If the bus has lost what was followed.
        """
        self._level_at = asyncio.get_running_loop().time()
        following = asyncio.create_task(self._follow(), name=f"{self._core.engine.name}.standby")
        told = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({following, told}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
                return True
            return False
        finally:
            for task in (following, told):
                task.cancel()
            await asyncio.gather(following, told, return_exceptions=True)
            if self._replayer is not None:
                await self._replayer.close()

    @property
    def fact(self) -> StandbyFact:
        """What there is to say of it now."""
        now, done = asyncio.get_running_loop().time(), self._committer.commits
        behind = max(0, self._view.commits - done)
        return StandbyFact(
            primary_epoch=self._view.epoch,
            follows_commit=done,
            lag_commits=behind,
            lag_seconds=round(now - self._level_at, 3) if behind else 0.0,
            primary_silent_seconds=round(self._watch.silent_seconds(now), 3),
            lease_seconds=self._lease_seconds,
        )

    # -- following --------------------------------------------------------------------------------

    async def _follow(self) -> None:
        committer = self._committer
        while True:
            view = await self._look()
            if view is None:
                await asyncio.sleep(self._look_seconds)
                continue
            if view.commits < committer.commits:
                raise StateLostError(
                    f"bus must hold {committer.commits} commits of '{self._core.engine.name}', was {view.commits}: it "
                    "lost commits this standby has followed; restart the standby, which recovers from what is left"
                )
            if view.commits > committer.commits:
                await self._replay(view.commits)
                continue
            now = self._level_at = asyncio.get_running_loop().time()
            if self._watch.is_over(now) and self.may_lead() and await self._take_over(view):
                return
            await asyncio.sleep(self._look_seconds)

    async def _look(self) -> LeaseView | None:
        try:
            view = await self._transport.watch(self._core.engine.name)
        except TransportError as error:
            self._interrupted(error)
            return None
        self._committer.answered()
        self._watch.saw(view, asyncio.get_running_loop().time())
        self._view = view
        return view

    async def _replay(self, commits: int) -> None:
        """Do again what the primary has committed, or the first page of it."""
        core, committer = self._core, self._committer
        name, done = core.engine.name, committer.commits
        if self._replayer is None:
            found = await recover(core, self._transport, commits, self._retrying, accept_other_code=self._accepts)
            self._replayer = Replayer(core, self._transport, self._retrying, accept_other_code=self._accepts)
            self.restored, self.from_other_code = commits, found.from_other_code
            committer.followed(commits, found.last_hash)
            self._log.info("standing_by", commits=commits, snapshot=found.snapshot_number, replayed=found.replayed)
            return
        # The entry done last comes with the page: a bus that lost it and was given another with its number is noticed.
        page = await self._retrying(lambda: self._transport.journal(name, done - 1, _PAGE + 1))
        if page and page[0][0] == done:
            if self._last_entry and page[0][1] != self._last_entry:
                raise StateLostError(
                    f"commit {done} of '{name}' must be the one this standby has followed, was another: the bus lost "
                    "commits; restart the standby, which recovers from what is left"
                )
            page = page[1:]
        if not page or page[0][0] != done + 1:
            raise TrimmedError(
                f"journal of '{name}' must continue at {done + 1}, was {page[0][0] if page else 'at its end'}: this "
                "standby fell behind the snapshots of its primary; restart it, it begins from the newest one"
            )
        decoded = [(number, decode_journal(data)) for number, data in page]
        self._replayer.announce(decoded)
        for number, entry in decoded:
            batch = await self._replayer.replay(number, entry)
            committer.followed(number, batch.output_hash)
        self._last_entry = page[-1][1]
        self.from_other_code = self.from_other_code or self._replayer.from_other_code

    async def _take_over(self, view: LeaseView) -> bool:
        streams = list(self._core.streams)
        try:
            lease = await self._transport.take_over(self._core.engine.name, streams, view)
        except TransportError as error:
            self._interrupted(error)
            return False
        if lease is None:  # the primary moved, or another standby was first; the next look says which
            return False
        self._committer.adopt(lease)
        silent = round(self._watch.silent_seconds(asyncio.get_running_loop().time()), 3)
        self._log.warning("took_over", epoch=lease.epoch, commits=lease.commits, silent_seconds=silent)
        return True

    # -- the bus ----------------------------------------------------------------------------------

    def _interrupted(self, error: TransportError) -> None:
        self._watch.interrupted()
        self._committer.on_transport_error(error)

    async def _retrying(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        """As :meth:`Committer.retrying`, at the pace of the looks."""
        while True:
            try:
                result = await operation()
            except TransportError as error:
                self._interrupted(error)
                await asyncio.sleep(self._look_seconds)
                continue
            self._committer.answered()
            return result
