"""The file format of recordings: frames with checksums, an index at the end. ``docs/replay.md`` describes it.

::

    magic    8 bytes  "NAUTREC" and the version of the format
    frame*            kind (1), stored bytes (4), bytes uncompressed (4), CRC-32 of those nine bytes and what is
                      stored (4), all big-endian; then the zlib-compressed MessagePack of one of the structs below
    trailer 16 bytes  offset of the index frame (8), "NAUTEND" and the version

The index frame is written last, so a file without a trailer was cut off and says so.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from services.fleet.record.errors import RecordingDamagedError, RecordingError

FORMAT: Final = 1
MAGIC: Final = b"NAUTREC" + bytes([FORMAT])
END: Final = b"NAUTEND" + bytes([FORMAT])
_FRAME: Final = struct.Struct(">BIII")
_TRAILER: Final = struct.Struct(">Q8s")
#: Level 1 halves a recording about as well as 6 (market data are short repeated arrays) at a third of the time.
_LEVEL: Final = 1
#: Nothing that is written is larger; a damaged length must not make a reader allocate gigabytes.
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024


class Header(msgspec.Struct, frozen=True):
    """First frame: what was recorded, by which code.

    Attributes:
        created_ns: Wall clock when the recording began.
        code: Version of the code that recorded; what wrote the journals says each journal entry itself.
        source: Where it was recorded from, without secrets.
        settings: Engines' settings as the recording process saw them, by variable name, secrets masked.
    """

    created_ns: int
    code: str
    source: str
    readers: list[str]
    settings: dict[str, Any] = {}


class ReaderFrame(msgspec.Struct, frozen=True):
    """A sequenced reader: its committed positions when its journal was read."""

    reader: str
    positions: dict[str, str]


class SnapshotFrame(msgspec.Struct, frozen=True):
    """One stored snapshot."""

    reader: str
    number: int
    data: bytes


class JournalFrame(msgspec.Struct, frozen=True):
    """Consecutive journal entries: commit number and the entry as it was stored."""

    reader: str
    entries: list[tuple[int, bytes]]


class EntriesFrame(msgspec.Struct, frozen=True):
    """Consecutive entries of a stream: entry id and record batch as it was stored."""

    stream: str
    entries: list[tuple[str, bytes]]


class FrameNote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One frame in the index.

    Attributes:
        name: Reader or stream, ``""`` for the header.
        first, last: Commit numbers or entry ids.
    """

    kind: int
    name: str
    first: str
    last: str
    count: int
    offset: int


class Index(msgspec.Struct, frozen=True):
    """Last frame: every frame before it, and what the recording has to say of itself.

    Attributes:
        gaps: Sentences about what was trimmed away while it was recorded.
    """

    frames: list[FrameNote]
    gaps: list[str] = []


KINDS: Final[tuple[type[Any], ...]] = (Header, ReaderFrame, SnapshotFrame, JournalFrame, EntriesFrame, Index)
F = TypeVar("F", Header, ReaderFrame, SnapshotFrame, JournalFrame, EntriesFrame, Index)


class ContainerWriter:
    """Writes frames to ``<path>.part``, which becomes ``path`` when it is whole.

    Raises:
        RecordingError: If the file exists already.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise RecordingError(f"recording {path} must be a new file, was there already; choose another name")
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._file: BinaryIO = self._part.open("wb")
        self._file.write(MAGIC)
        self.frames: list[FrameNote] = []

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def write(self, frame: F, name: str = "", first: str = "", last: str = "", count: int = 1) -> None:
        """Append one frame."""
        kind = KINDS.index(type(frame))
        self.frames.append(FrameNote(kind, name, first, last, count, self._file.tell()))
        self._append(kind, msgspec.msgpack.encode(frame))

    def finish(self, gaps: Sequence[str]) -> int:
        """Write the index and give the file its name; returns its size in bytes."""
        offset = self._file.tell()
        self._append(KINDS.index(Index), msgspec.msgpack.encode(Index(self.frames, list(gaps))))
        self._file.write(_TRAILER.pack(offset, END))
        size = self._file.tell()
        self._file.close()
        self._part.replace(self.path)
        return size

    def _append(self, kind: int, raw: bytes) -> None:
        stored = zlib.compress(raw, _LEVEL)
        self._file.write(_FRAME.pack(kind, len(stored), len(raw), _checksum(kind, len(raw), stored)))
        self._file.write(stored)

    def __enter__(self) -> ContainerWriter:
        """Nothing to do."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Remove what was not finished."""
        if not self._file.closed:
            self._file.close()
            self._part.unlink(missing_ok=True)


class ContainerReader:
    """Reads frames; opening checks every checksum once (about a second a gigabyte).

    Raises:
        RecordingDamagedError: If the file is no recording, cut off or damaged; the text says which and where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise RecordingDamagedError(f"recording {path} must be readable, was not: {error.strerror}") from error
        try:
            self.size = path.stat().st_size
            frames, end = self._walk()
            self._check_end(frames, end)
            self.index: Index = self.read(frames[-1], Index)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, offset: int, kind: type[F]) -> F:
        """Decode the frame at ``offset``."""
        self._file.seek(offset)
        _, stored, raw, _ = _FRAME.unpack(self._file.read(_FRAME.size))
        try:
            data = zlib.decompress(self._file.read(stored), bufsize=max(raw, 1))
            return msgspec.msgpack.decode(data, type=kind)
        except (zlib.error, msgspec.MsgspecError) as error:
            raise self._damaged(offset, f"cannot be read ({error})") from error

    def _walk(self) -> tuple[list[int], int]:
        """Offsets of all frames whose bytes are there and sound, and where the first other thing begins."""
        magic = self._file.read(len(MAGIC))
        if magic[:7] != MAGIC[:7]:
            raise RecordingDamagedError(f"{self.path} must be a recording (nautilus record), was something else")
        if magic != MAGIC:
            raise RecordingDamagedError(
                f"{self.path} must have format {FORMAT}, was {magic[7] if len(magic) > 7 else 'cut off'}; "
                "read it with the version of the code that wrote it"
            )
        offsets: list[int] = []
        offset = len(MAGIC)
        while offset + _FRAME.size + _TRAILER.size <= self.size:
            kind, stored, raw, checksum = _FRAME.unpack(self._file.read(_FRAME.size))
            if kind >= len(KINDS) or stored > MAX_FRAME_BYTES or raw > MAX_FRAME_BYTES:
                raise self._damaged(offset, "has an impossible head")
            data = self._file.read(stored)
            if len(data) < stored:
                break
            if _checksum(kind, raw, data) != checksum:
                raise self._damaged(offset, "has another checksum than was written")
            offsets.append(offset)
            offset += _FRAME.size + stored
        return offsets, offset

    def _check_end(self, frames: Sequence[int], end: int) -> None:
        self._file.seek(end)
        trailer = self._file.read(_TRAILER.size + 1)
        if len(trailer) == _TRAILER.size and frames and _TRAILER.unpack(trailer) == (frames[-1], END):
            return
        raise RecordingDamagedError(
            f"{self.path} is cut off or damaged: after {len(frames)} whole frames, at byte {end} of {self.size}, there "
            "must be another one or the end of the recording, was neither; copy or record it again"
        )

    def _damaged(self, offset: int, what: str) -> RecordingDamagedError:
        return RecordingDamagedError(
            f"{self.path} is damaged: the frame at byte {offset} {what}; copy or record it again"
        )


def _checksum(kind: int, raw: int, stored: bytes) -> int:
    return zlib.crc32(stored, zlib.crc32(_FRAME.pack(kind, len(stored), raw, 0)[:9]))
