"""Recovery is replay: the newest sound snapshot, then the journal since, with the outputs withheld."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from libs.engine.core import Batch, EngineCore
from libs.engine.errors import DeterminismError, SnapshotError
from libs.engine.journal import JournalEntry, decode_journal
from libs.engine.snapshot import restore_image
from libs.messagebus.errors import TrimmedError
from libs.messagebus.transport import Entry, StoredSnapshot, Transport
from libs.version import CODE_VERSION

_PAGE = 256
#: Repeats an idempotent question until the transport answers.
Retrying = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
_log = structlog.get_logger("recovery")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What recovery did.

    Attributes:
        snapshot_number: Commit the snapshot stood at, 0 when there was none.
        replayed: Journal entries done again.
        last_hash: Output hash of the last one, empty when none.
    """

    snapshot_number: int
    replayed: int
    last_hash: bytes


async def recover(core: EngineCore, transport: Transport, commits: int, retrying: Retrying) -> Recovery:
    """Bring ``core`` to the state after commit ``commits``.

    Each question to the transport goes through ``retrying``: recovery as a whole cannot be repeated, because it
    moves the engine's state.

    Raises:
        SnapshotError: If every stored snapshot is unusable.
        TrimmedError: If the journal or a stream no longer reaches back to the snapshot.
        DeterminismError: If replaying gave other outputs than were recorded.
    """
    start = _load_snapshot(core, await retrying(lambda: transport.load_snapshots(core.engine.name)), commits)
    done, last_hash = start, b""
    while done < commits:
        page = await retrying(partial(transport.journal, core.engine.name, done, _PAGE))
        if not page or page[0][0] != done + 1:
            raise TrimmedError(
                f"journal of '{core.engine.name}' must continue at {done + 1}, "
                f"was {page[0][0] if page else 'at its end'}; "
                "restore the bus from a backup, or begin with a new data directory"
            )
        for number, data in page[: commits - done]:
            batch = await _replay(core, transport, number, decode_journal(data), retrying)
            done, last_hash = number, batch.output_hash
    return Recovery(start, done - start, last_hash)


def _load_snapshot(core: EngineCore, stored: Sequence[StoredSnapshot], commits: int) -> int:
    failures = []
    for snapshot in stored:
        try:
            if snapshot.number > commits:  # restored from mismatched backups: it knows what the bus does not
                raise SnapshotError(
                    f"snapshot {snapshot.number} of '{core.engine.name}' must be of one of its {commits} commits"
                )
            return restore_image(core, snapshot).number
        except SnapshotError as error:
            failures.append(str(error))
            _log.warning("snapshot_unusable", engine=core.engine.name, error=str(error))
    if failures:
        raise SnapshotError("; ".join(failures))
    return 0


async def _replay(
    core: EngineCore, transport: Transport, number: int, entry: JournalEntry, retrying: Retrying
) -> Batch:
    if number == 1:
        batch = core.start(entry.ts_batch)
    else:
        batch = core.process(await _inputs(core, transport, number, entry, retrying), entry.ts_batch)
    if batch.output_hash != entry.output_hash:
        wrote = (
            f"; it was written by version {entry.code}, this is {CODE_VERSION}" if entry.code != CODE_VERSION else ""
        )
        raise DeterminismError(
            f"commit {number} of '{core.engine.name}' must publish {entry.outputs} events with hash "
            f"{entry.output_hash.hex()} again, was {sum(batch.events_out.values())} events with hash "
            f"{batch.output_hash.hex()}{wrote}; "
            "run the version that wrote it, or begin with a new data directory"
        )
    return batch


async def _inputs(
    core: EngineCore, transport: Transport, number: int, entry: JournalEntry, retrying: Retrying
) -> list[Entry]:
    entries: list[Entry] = []
    for span in entry.ranges:
        found = await retrying(partial(transport.read_range, span.stream, span.first, span.last, span.count))
        if len(found) != span.count:
            raise TrimmedError(
                f"commit {number} of '{core.engine.name}' needs {span.count} entries of '{span.stream}' from "
                f"{span.first} to {span.last}, was {len(found)}; the stream was trimmed past the snapshot"
            )
        entries.extend(found)
    return entries
