"""Carries what an outside source holds into a bus, exactly once: what bridges are made of.

A relay is a sequenced reader of the *target* that registers no stream there. Each commit appends what was read, moves
the position in the source and writes a note, all in one step of the target. So nothing is doubled and nothing skipped
whenever it is killed, a second relay of the same name fences the first, and a target that lost its newest writes in a
failover lost the positions with them: they are carried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

import structlog

from libs.messagebus.backoff import backoff_seconds
from libs.messagebus.errors import MessageBusError, StateLostError, TransportError
from libs.messagebus.transport import Commit, Output, StoredSnapshot, Transport

SNAPSHOT_EVERY = 256
"""Commits between two snapshots: what a restart reads back at most, and what the journal holds twice over."""

JOURNAL_CHUNK = 1024

T = TypeVar("T")


class Piece(NamedTuple):
    """What one read of a source found.

    Attributes:
        positions: Where in the source the next read begins, by name.
        outputs: Record batches to append; may be empty where nothing of what was read is wanted.
        note: What a restart needs besides, e.g. a change of the source's own state.
    """

    positions: Mapping[str, str]
    outputs: Sequence[Output]
    note: bytes = b""


class RelaySource(Protocol):
    """Where a relay reads. ``restore``, then ``start``, then ``read`` for ever; all three again after a loss."""

    def restore(self, snapshot: bytes, notes: Sequence[bytes]) -> None:
        """Take the state back: a :meth:`snapshot` (``b""``: none yet), then the notes of the pieces since."""
        ...

    async def start(self, positions: Mapping[str, str]) -> Piece | None:
        """Go on after the positions; a piece where the first position must be kept before anything is read."""
        ...

    async def read(self) -> Piece | None:
        """What comes next; None where there was nothing for a while. Raises ``TransportError`` to be asked again."""
        ...

    def snapshot(self) -> bytes:
        """The state after the piece read last."""
        ...


class RelayJournalError(MessageBusError):
    """The journal of a relay in its target has a hole; what it did cannot be known."""


class Relay:
    """Runs a source into a target.

    Attributes:
        commits: Pieces carried by this process.
        outputs: Record batches appended by this process.
        failures: Calls that failed and were repeated.
        losses: Times the target had lost acknowledged commits and they were carried again.
    """

    def __init__(
        self,
        name: str,
        source: RelaySource,
        open_target: Callable[[], Transport],
        *,
        snapshot_every: int = SNAPSHOT_EVERY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare a relay.

        Args:
            name: Under which the target keeps position, epoch and journal: the same after every restart.
            source: Where to read.
            open_target: Makes the transport of the target; called again when the target has lost commits, because a
                transport that has seen them refuses to write on.
            snapshot_every: Commits between two snapshots.
            sleep: Waits between attempts; for tests.
        """
        self.name = name
        self.commits = self.outputs = self.failures = self.losses = 0
        self._source = source
        self._open_target = open_target
        self._snapshot_every = snapshot_every
        self._sleep = sleep
        self._log = structlog.get_logger("relay").bind(relay=name)

    async def run(self) -> None:
        """Carry until cancelled; a cancellation between two commits loses nothing.

        Raises:
            FencedError: If another relay of this name has started.
            TransportRefusedError: If source or target refuse until a setting changes.
            MessageBusError: What the source raises besides ``TransportError``.
        """
        while True:
            target = self._open_target()
            try:
                await self._carry(target)
            except StateLostError as error:
                self.losses += 1
                self._log.error("target_lost_commits", error=str(error), remedy="what is missing is carried again")
            finally:
                await target.close()

    async def _carry(self, target: Transport) -> None:
        source = self._source
        lease = await self._patiently(lambda: target.acquire(self.name, []))
        snapshots = await self._patiently(lambda: target.load_snapshots(self.name))
        snapshot = snapshots[0] if snapshots else StoredSnapshot(0, b"")
        source.restore(snapshot.data, await self._notes(target, snapshot.number, lease.commits))
        number = lease.commits
        piece = await self._patiently(lambda: source.start(lease.positions))
        self._log.info("relay_started", epoch=lease.epoch, commits=number, positions=dict(lease.positions))
        while True:
            if piece is not None:
                number += 1
                commit = Commit(self.name, lease.epoch, number, piece.positions, piece.outputs, piece.note)
                await self._patiently(lambda commit=commit: target.commit(commit))  # type: ignore[misc]
                self.commits += 1
                self.outputs += len(piece.outputs)
                if number % self._snapshot_every == 0:
                    stored = StoredSnapshot(number, source.snapshot())
                    await self._patiently(lambda stored=stored: self._save(target, lease.epoch, stored))  # type: ignore[misc]
            piece = await self._patiently(source.read)

    async def _save(self, target: Transport, epoch: int, stored: StoredSnapshot) -> None:
        await target.save_snapshot(self.name, epoch, stored, {})
        await target.trim({})  # journals only

    async def _notes(self, target: Transport, after: int, last: int) -> list[bytes]:
        notes: list[bytes] = []
        while after + len(notes) < last:
            start = after + len(notes)
            found = await self._patiently(lambda start=start: target.journal(self.name, start, JOURNAL_CHUNK))  # type: ignore[misc]
            if [number for number, _ in found] != list(range(start + 1, start + 1 + len(found))) or not found:
                raise RelayJournalError(
                    f"journal of '{self.name}' must go on at commit {start + 1}, was "
                    f"{found[0][0] if found else 'at its end'}; the target lost data: restore it, or remove its keys "
                    "of this relay to carry everything again"
                )
            notes += [note for _, note in found]
        return notes

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await call()
            except TransportError as error:
                if not error.retriable:
                    raise
                wait_s = backoff_seconds(self.name, failures)
                failures += 1
                self.failures += 1
                self._log.warning("relay_interrupted", error=str(error), wait_seconds=round(wait_s, 3))
                await self._sleep(wait_s)
