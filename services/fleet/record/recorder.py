"""Copies the state of a run from its bus into a file, also while the fleet goes on.

For every reader its snapshots first, then its journal, and when all of those are copied the streams up to their ends:
so the streams hold at least what the journals refer to. What was trimmed away in between is found by comparing the
first entry each journal needs with the first that was copied; such a reader is read once more, from newer snapshots.
Memory is bounded by one frame (1 MiB, or one large entry), whatever the run holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from libs.engine.journal import decode_journal
from libs.messagebus.transport import START, Entry, StoredSnapshot, Transport, entry_order
from services.fleet.record.container import (
    ContainerWriter,
    EntriesFrame,
    Header,
    JournalFrame,
    ReaderFrame,
    SnapshotFrame,
)

#: Raw bytes of one frame, about.
FRAME_BYTES = 1024 * 1024
_PAGE = 64
_ATTEMPTS = 3
#: Between two looks while following; a journal is trimmed behind the older snapshot, at the earliest two periods old.
_FOLLOW_SECONDS = 0.2


@dataclass(slots=True)
class _Reader:
    """What was copied of one reader.

    Attributes:
        commit: Last journal entry copied, 0 = none.
        needs: By commit a replay may begin after: the first entry of each stream it needs.
    """

    commit: int = 0
    needs: dict[int, dict[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Summary:
    """What a recording holds."""

    bytes: int = 0
    snapshots: int = 0
    commits: int = 0
    entries: int = 0
    gaps: list[str] = field(default_factory=list)


class Recorder:
    """Records one bus into one file; use :func:`record`.

    Args:
        transport: Only read from.
        writer: Where to.
        readers: Names of the sequenced readers.
        streams: Names of all streams.
    """

    def __init__(
        self, transport: Transport, writer: ContainerWriter, readers: Sequence[str], streams: Sequence[str]
    ) -> None:
        self.summary = Summary()
        self._transport = transport
        self._writer = writer
        self._readers = {name: _Reader() for name in readers}
        self._streams = list(streams)
        self._first: dict[str, str] = {}
        self._copied: dict[str, str] = {}

    async def copy(self) -> None:
        """Copy everything there is."""
        wanted = list(self._readers)
        for _ in range(_ATTEMPTS):
            for name in wanted:
                await self._copy_reader(name)
            await self._copy_streams()
            wanted = [name for name in wanted if not self._is_replayable(name)]
            if not wanted:
                return

    async def follow(self) -> None:
        """Copy what was added since."""
        for name, reader in self._readers.items():
            done = reader.commit
            page = await self._transport.journal(name, done, 1)
            if page and page[0][0] != done + 1:
                self.summary.gaps.append(
                    f"the journal of '{name}' has a hole behind commit {done}: it was trimmed faster than it was copied"
                )
                await self._copy_snapshots(name, reader)
            await self._copy_journal(name, reader)
        await self._copy_streams()

    def finish(self) -> Summary:
        """End the file."""
        for name in self._readers:
            if not self._is_replayable(name):
                self.summary.gaps.append(
                    f"'{name}' cannot be replayed: what its journal needs was trimmed while it was copied"
                )
        self.summary.bytes = self._writer.finish(self.summary.gaps)
        return self.summary

    # -- readers ----------------------------------------------------------------------------------

    async def _copy_reader(self, name: str) -> None:
        reader = self._readers[name] = _Reader()
        await self._copy_snapshots(name, reader)
        await self._copy_journal(name, reader)
        positions = await self._transport.positions(name)
        self._writer.write(ReaderFrame(name, positions), name)

    async def _copy_snapshots(self, name: str, reader: _Reader) -> None:
        """Copy what is stored; a replay may begin behind each."""
        snapshots = sorted(await self._transport.load_snapshots(name), key=lambda one: one.number)
        for snapshot in snapshots:
            self._write_snapshot(name, snapshot)
            reader.needs[snapshot.number] = {}

    def _write_snapshot(self, name: str, snapshot: StoredSnapshot) -> None:
        number = str(snapshot.number)
        self._writer.write(SnapshotFrame(name, snapshot.number, snapshot.data), name, number, number)
        self.summary.snapshots += 1

    async def _copy_journal(self, name: str, reader: _Reader) -> None:
        while page := await self._transport.journal(name, reader.commit, _PAGE):
            if page[0][0] != reader.commit + 1:
                # Trimmed since: a replay can begin behind a later snapshot only.
                reader.needs = {number: needs for number, needs in reader.needs.items() if number >= page[0][0] - 1}
            elif reader.commit == 0:
                reader.needs.setdefault(0, {})  # whole: a replay may begin at the beginning
            for number, data in page:
                for span in decode_journal(data).ranges:
                    for start, needs in reader.needs.items():
                        if number > start:
                            needs.setdefault(span.stream, span.first)
            numbers = str(page[0][0]), str(page[-1][0])
            self._writer.write(JournalFrame(name, page), name, *numbers, count=len(page))
            reader.commit = page[-1][0]
            self.summary.commits += len(page)
            if len(page) < _PAGE:
                return

    def _is_replayable(self, name: str) -> bool:
        reader = self._readers[name]
        return not reader.commit or any(self._covers(needs) for needs in reader.needs.values())

    def _covers(self, needs: Mapping[str, str]) -> bool:
        return all(
            stream in self._first and entry_order(self._first[stream]) <= entry_order(first)
            for stream, first in needs.items()
        )

    # -- streams ----------------------------------------------------------------------------------

    async def _copy_streams(self) -> None:
        tails = await self._transport.tails(self._streams)
        for stream in self._streams:
            if entry_order(tails[stream]) > entry_order(self._copied.get(stream, START)):
                await self._copy_stream(stream, tails[stream])

    async def _copy_stream(self, stream: str, tail: str) -> None:
        held: list[Entry] = []
        size = 0
        position = self._copied.get(stream, START)
        while page := await self._transport.read_range(stream, position, tail, _PAGE):
            for entry in page:
                if entry.entry_id == position:  # a range includes its first entry, which is copied already
                    continue
                held.append(entry)
                size += len(entry.data)
                if size >= FRAME_BYTES:
                    self._write_entries(stream, held)
                    held, size = [], 0
            position = page[-1].entry_id
            if len(page) < _PAGE:
                break
        if held:
            self._write_entries(stream, held)
        self._copied[stream] = tail

    def _write_entries(self, stream: str, held: Sequence[Entry]) -> None:
        first, last = held[0].entry_id, held[-1].entry_id
        self._first.setdefault(stream, first)
        frame = EntriesFrame(stream, [(entry.entry_id, entry.data) for entry in held])
        self._writer.write(frame, stream, first, last, len(held))
        self.summary.entries += len(held)


async def record(
    transport: Transport,
    writer: ContainerWriter,
    header: Header,
    streams: Sequence[str],
    *,
    follow: asyncio.Event | None = None,
    on_copied: Callable[[Summary], None] | None = None,
) -> Summary:
    """Record the run on ``transport``.

    Args:
        header: Its ``readers`` are recorded.
        streams: Recorded too, each up to its end.
        follow: Go on copying what is added until this is set.
        on_copied: Called once everything that was there is copied.

    Raises:
        TransportError: If the bus does not answer.
    """
    writer.write(header)
    recorder = Recorder(transport, writer, header.readers, streams)
    await recorder.copy()
    if on_copied is not None:
        on_copied(recorder.summary)
    while follow is not None and not follow.is_set():
        try:
            async with asyncio.timeout(_FOLLOW_SECONDS):
                await follow.wait()
        except TimeoutError:
            pass
        await recorder.follow()
    return recorder.finish()
