"""Recovery is replay: the newest sound snapshot, then the journal since, with the outputs withheld.

What is replayed must have been written by the code that replays it, or a difference could be an upgrade as well as a
bug. Other code begins from a *clean* snapshot: the last act of a host that was stopped in order, with nothing
journaled behind it. Whoever sets ``NAUTILUS_REPLAY_OTHER_CODE=1`` has the journal replayed by this code all the same,
every output compared; what differs then stops the engine too, and says that the code differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from libs.engine.core import EngineCore
from libs.engine.errors import LayoutError, OtherCodeError, SnapshotDamagedError, SnapshotError
from libs.engine.journal import decode_journal
from libs.engine.replay_inputs import Retrying
from libs.engine.replayer import SWITCH, Replayer
from libs.engine.snapshot import RestoredImage, restore_image
from libs.messagebus.errors import TrimmedError
from libs.messagebus.transport import StoredSnapshot, Transport

_PAGE = 256
_log = structlog.get_logger("recovery")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What recovery did.

    Attributes:
        snapshot_number: Commit the snapshot stood at, 0 when there was none.
        replayed: Journal entries done again.
        last_hash: Output hash of the last one, empty when none.
        from_other_code: Whether the snapshot or a journal entry was written by other code; a snapshot taken now makes
            what follows the work of one version again.
    """

    snapshot_number: int
    replayed: int
    last_hash: bytes
    from_other_code: bool = False


async def recover(
    core: EngineCore, transport: Transport, commits: int, retrying: Retrying, *, accept_other_code: bool = False
) -> Recovery:
    """Bring ``core`` to the state after commit ``commits``.

    Each question to the transport goes through ``retrying``: recovery as a whole cannot be repeated, because it
    moves the engine's state.

    Args:
        accept_other_code: Replay what other code wrote.

    Raises:
        SnapshotError: If every stored snapshot is unusable, and the journal does not reach back to the first commit.
        OtherCodeError: If other code wrote what is to be replayed and that was not accepted.
        TrimmedError: If the journal or a stream no longer reaches back to the snapshot.
        DeterminismError: If replaying gave other outputs than were recorded.
    """
    stored = await retrying(lambda: transport.load_snapshots(core.engine.name))
    image, failures = _load_snapshot(core, stored, commits)
    start = image.number if image is not None else 0
    other = image is not None and _is_other(core, image, commits, accept_other_code)
    replayer = Replayer(core, transport, retrying, accept_other_code=accept_other_code)
    done, last_hash = start, b""
    pages = _Pages(core.engine.name, transport, retrying, commits)
    try:
        while done < commits:
            page = await pages.after(done)
            if not page or page[0][0] != done + 1:
                raise _journal_gap(core.engine.name, done + 1, page, failures)
            decoded = [(number, decode_journal(data)) for number, data in page]
            replayer.announce(decoded)
            for number, entry in decoded:
                if number != done + 1:
                    raise _journal_gap(core.engine.name, done + 1, [(number, b"")], failures)
                batch = await replayer.replay(number, entry)
                done, last_hash = number, batch.output_hash
    finally:
        await replayer.close()
        await pages.close()
    return Recovery(start, done - start, last_hash, other or replayer.from_other_code)


class _Pages:
    """The journal, a page ahead of the replay."""

    def __init__(self, reader: str, transport: Transport, retrying: Retrying, until: int) -> None:
        self._reader = reader
        self._transport = transport
        self._retrying = retrying
        self._until = until
        self._next: tuple[int, asyncio.Task[list[tuple[int, bytes]]]] | None = None

    async def after(self, number: int) -> list[tuple[int, bytes]]:
        """Entries behind commit ``number``; empty at the end."""
        if self._next is not None and self._next[0] == number:
            page = await self._next[1]
            self._next = None
        else:
            page = await self._read(number)
        if page and page[-1][0] < self._until:
            self._next = (page[-1][0], asyncio.ensure_future(self._read(page[-1][0])))
        return page

    async def _read(self, after: int) -> list[tuple[int, bytes]]:
        count = min(_PAGE, self._until - after)
        page: list[tuple[int, bytes]] = await self._retrying(
            partial(self._transport.journal, self._reader, after, count)
        )
        return page

    async def close(self) -> None:
        """Forget the page on its way."""
        if self._next is not None:
            self._next[1].cancel()
            await asyncio.gather(self._next[1], return_exceptions=True)


def _load_snapshot(
    core: EngineCore, stored: Sequence[StoredSnapshot], commits: int
) -> tuple[RestoredImage | None, list[SnapshotError]]:
    """The newest usable snapshot; None to replay from the first commit, and why those there are cannot be used.

    Raises:
        LayoutError: If none can be used and one of them is sound: it is for other code, and must not be passed over.
    """
    failures: list[SnapshotError] = []
    for snapshot in stored:
        try:
            if snapshot.number > commits:  # restored from mismatched backups: it knows what the bus does not
                raise SnapshotDamagedError(
                    f"snapshot {snapshot.number} of '{core.engine.name}' must be of one of its {commits} commits"
                )
            return restore_image(core, snapshot), failures
        except SnapshotError as error:
            failures.append(error)
            _log.warning("snapshot_unusable", engine=core.engine.name, error=str(error))
    if any(isinstance(error, LayoutError) for error in failures):
        raise LayoutError("; ".join(map(str, failures)))
    return None, failures


def _is_other(core: EngineCore, image: RestoredImage, commits: int, accepted: bool) -> bool:
    """Whether other code wrote the snapshot that was restored.

    Raises:
        OtherCodeError: If that other code had not ended in order, and nobody accepted it.
    """
    if image.writer == core.writer:
        return False
    if not image.is_clean and not accepted:
        raise OtherCodeError(
            f"snapshot {image.number} of '{core.engine.name}' must be the last act of the version that wrote it, "
            f"{image.writer}, before this one, {core.writer}, goes on, was taken while it ran; start that version and "
            f"stop it in order, then start this one, or set {SWITCH}"
        )
    _log.warning(
        "continuing_after_other_code", engine=core.engine.name, snapshot=image.number, commits=commits,
        wrote=str(image.writer), this=str(core.writer), clean=image.is_clean,
    )  # fmt: skip
    return True


def _journal_gap(
    reader: str, expected: int, page: Sequence[tuple[int, bytes]], failures: Sequence[SnapshotError]
) -> Exception:
    where = page[0][0] if page else "at its end"
    remedy = "restore the bus from a backup, or begin with a new data directory"
    if failures and expected == 1:
        return SnapshotError(
            f"{'; '.join(map(str, failures))}; the journal of '{reader}' must then begin at commit 1, "
            f"was {where}; {remedy}"
        )
    return TrimmedError(f"journal of '{reader}' must continue at {expected}, was {where}; {remedy}")
