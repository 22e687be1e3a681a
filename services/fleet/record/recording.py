"""A recording, read: snapshots, journals, and streams that can be searched as those of a live bus can.

Frames are decoded when something in them is asked for and the last few are kept, so memory does not grow with the file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from libs.engine.journal import JournalEntry, decode_journal
from libs.messagebus.transport import START, Entry, StoredSnapshot, entry_order
from services.fleet.record.container import (
    KINDS,
    ContainerReader,
    EntriesFrame,
    FrameNote,
    Header,
    JournalFrame,
    ReaderFrame,
    SnapshotFrame,
)

#: Decoded frames kept, about a megabyte each: one a stream that an engine reads, and some.
_KEPT_FRAMES = 24

_HEADER, _READER, _SNAPSHOT, _JOURNAL, _ENTRIES = (
    KINDS.index(kind) for kind in (Header, ReaderFrame, SnapshotFrame, JournalFrame, EntriesFrame)
)


class Recording:
    """One recording; use as a context manager.

    Attributes:
        header: What was recorded, by which code.
        gaps: What was trimmed away while it was recorded, in sentences.
        size: Of the file, bytes.

    Raises:
        RecordingDamagedError: If the file is no recording, cut off or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._container = ContainerReader(path)
        index = self._container.index
        self.size = self._container.size
        self.gaps = index.gaps
        self.header = self._container.read(index.frames[0].offset, Header)
        self._frames: dict[tuple[int, str], list[FrameNote]] = {}
        for note in index.frames:
            self._frames.setdefault((note.kind, note.name), []).append(note)
        #: Ends of the frames of each stream, for bisection.
        self._ends = {
            name: [entry_order(note.last) for note in notes]
            for (kind, name), notes in self._frames.items()
            if kind == _ENTRIES
        }
        self._kept: OrderedDict[int, list[Entry]] = OrderedDict()

    def __enter__(self) -> Recording:
        """Nothing to do."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Close the file."""
        self._container.close()

    # -- readers ----------------------------------------------------------------------------------

    def snapshots(self, reader: str) -> list[StoredSnapshot]:
        """Snapshots of a reader, oldest first, each number once."""
        found: dict[int, StoredSnapshot] = {}
        for note in self._frames.get((_SNAPSHOT, reader), ()):
            frame = self._container.read(note.offset, SnapshotFrame)
            found[frame.number] = StoredSnapshot(frame.number, frame.data)
        return [found[number] for number in sorted(found)]

    def journal(self, reader: str, after: int) -> Iterator[tuple[int, JournalEntry]]:
        """Journal entries with commit number > ``after``, oldest first; ends at a hole."""
        done = after
        for note in sorted(self._frames.get((_JOURNAL, reader), ()), key=lambda one: int(one.first)):
            if int(note.last) <= done:
                continue
            for number, data in self._container.read(note.offset, JournalFrame).entries:
                if number == done + 1:
                    yield number, decode_journal(data)
                    done = number

    def last_commit(self, reader: str) -> int:
        """The newest commit journaled, 0 = none."""
        return max((int(note.last) for note in self._frames.get((_JOURNAL, reader), ())), default=0)

    def positions(self, reader: str) -> dict[str, str]:
        """Committed positions of a reader when it was copied first."""
        notes = self._frames.get((_READER, reader))
        return self._container.read(notes[0].offset, ReaderFrame).positions if notes else {}

    # -- streams ----------------------------------------------------------------------------------

    def first_entry(self, stream: str) -> str | None:
        """Id of the oldest entry recorded of a stream; None where there is none."""
        notes = self._frames.get((_ENTRIES, stream))
        return notes[0].first if notes else None

    def entries(self, stream: str, first: str, last: str, count: int) -> list[Entry]:
        """Entries with ``first <= id <= last``, oldest first, at most ``count``."""
        notes = self._frames.get((_ENTRIES, stream), [])
        low, high = entry_order(first), entry_order(last)
        found: list[Entry] = []
        for place in range(bisect_left(self._ends.get(stream, []), low), len(notes)):
            if entry_order(notes[place].first) > high or len(found) >= count:
                break
            held = self._held(stream, notes[place])
            start = bisect_left(held, low, key=lambda entry: entry_order(entry.entry_id))
            for entry in held[start : start + count - len(found)]:
                if entry_order(entry.entry_id) > high:
                    break
                found.append(entry)
        return found

    async def read_range(self, stream: str, first: str, last: str, count: int) -> list[Entry]:
        """See :meth:`libs.messagebus.transport.Transport.read_range`."""
        return self.entries(stream, first, last, count)

    async def tails(self, streams: Sequence[str]) -> Mapping[str, str]:
        """See :meth:`libs.messagebus.transport.Transport.tails`."""
        ends = {name: notes[-1].last for (kind, name), notes in self._frames.items() if kind == _ENTRIES}
        return {name: ends.get(name, START) for name in streams}

    def _held(self, stream: str, note: FrameNote) -> list[Entry]:
        kept = self._kept.get(note.offset)
        if kept is None:
            frame = self._container.read(note.offset, EntriesFrame)
            kept = self._kept[note.offset] = [Entry(stream, entry_id, data) for entry_id, data in frame.entries]
            if len(self._kept) > _KEPT_FRAMES:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(note.offset)
        return kept
