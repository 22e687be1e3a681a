"""What a transport must do; ``memory`` and ``redis`` do it, and one contract suite runs on both.

Entry ids are strings ``<a>-<b>`` ordered as pairs of integers, unique per stream; ``"0-0"`` is before
the first entry. Stream names here carry no fleet prefix; a transport adds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from libs.messagebus.codec import MAX_ENTRY_BYTES
from libs.messagebus.errors import EntryTooLargeError
from libs.messagebus.lease import Lease as Lease
from libs.messagebus.lease import LeaseView as LeaseView

START = "0-0"
LAST = f"{2**64 - 1}-{2**64 - 1}"
"""An entry id past every real one, as the end of a range."""


def entry_order(entry_id: str) -> tuple[int, int]:
    """The pair of integers that orders entry ids within a stream."""
    first, _, second = entry_id.partition("-")
    return int(first), int(second or 0)


def entry_before(entry_id: str) -> str:
    """The largest id below this one: reading after it finds the entry itself first."""
    first, second = entry_order(entry_id)
    return f"{first}-{second - 1}" if second else f"{first - 1}-{2**64 - 1}"


class Entry(NamedTuple):
    """One stream entry: an encoded record batch and where it lies."""

    stream: str
    entry_id: str
    data: bytes


class Output(NamedTuple):
    """An encoded record batch on its way to ``stream``."""

    stream: str
    data: bytes


def check_sizes(outputs: Sequence[Output]) -> None:
    """Refuse what no reader would decode; transports call this before they write.

    Raises:
        EntryTooLargeError: If an output exceeds ``MAX_ENTRY_BYTES``.
    """
    for name, data in outputs:
        if len(data) > MAX_ENTRY_BYTES:
            raise EntryTooLargeError(
                f"record batch for '{name}' must be at most {MAX_ENTRY_BYTES} bytes, was {len(data)}; "
                "publish smaller batches"
            )


@dataclass(frozen=True, slots=True)
class Commit:
    """One atomic step of a sequenced reader.

    Attributes:
        number: 1-based count of this reader's commits. Sent twice (after a lost reply) it lands once.
        positions: Streams whose position moved, with the new entry id.
        outputs: Record batches to append, in order.
        journal: The journal entry, encoded.
    """

    reader: str
    epoch: int
    number: int
    positions: Mapping[str, str]
    outputs: Sequence[Output]
    journal: bytes


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """One stored snapshot of a reader: the state after commit ``number``."""

    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Quiescence:
    """Whether the fleet is quiet: every listed reader has committed past everything it reads.

    Attributes:
        quiet: True when nothing is in flight between sequenced readers.
        waiting_for: Readers that lag or have not registered, sorted.
    """

    quiet: bool
    waiting_for: list[str] = field(default_factory=list)


@runtime_checkable
class Transport(Protocol):
    """The bus underneath the bus. All methods raise ``TransportError`` when the server is out of reach."""

    async def connect(self) -> None:
        """Connect or fail; idempotent."""
        ...

    async def close(self) -> None:
        """Release everything; idempotent."""
        ...

    async def ping(self) -> None:
        """Return when the server answered, raise otherwise."""
        ...

    async def append(self, producer: str, sequence: int, count: int, outputs: Sequence[Output]) -> bool:
        """Append the batches of a producer, all or none.

        Args:
            producer: Producer id, unique per incarnation.
            sequence: Sequence number of the first event of the first batch.
            count: Events in all batches together.
            outputs: The batches.

        Returns:
            True when appended, False when ``sequence`` had been appended before (the call is idempotent).
        """
        ...

    async def read(self, positions: Mapping[str, str], count: int, block_ms: int) -> list[Entry]:
        """Entries after the given positions, at most ``count`` a stream, in stream order as given.

        Waits up to ``block_ms`` (0 = do not wait) when there are none.

        Raises:
            TrimmedError: If a stream was trimmed past a position.
        """
        ...

    async def read_range(self, stream: str, first: str, last: str, count: int) -> list[Entry]:
        """Entries with ``first <= id <= last``, oldest first, at most ``count``."""
        ...

    async def tails(self, streams: Sequence[str]) -> dict[str, str]:
        """Newest entry id of each stream, ``"0-0"`` for an empty one."""
        ...

    async def acquire(self, reader: str, streams: Sequence[str]) -> Lease:
        """Register a sequenced reader of ``streams`` and take a new epoch, fencing out older holders."""
        ...

    async def renew(self, reader: str, epoch: int) -> bool:
        """Give a sign of life, which a standby sees in the next :meth:`watch`.

        Returns:
            Whether a standby has looked within ``WATCH_SECONDS``; without one nothing is written.

        Raises:
            FencedError: If the epoch is not the newest.
        """
        ...

    async def release(self, reader: str, epoch: int) -> None:
        """Say that the holder of ``epoch`` commits no more, so that a standby need not wait; it stays the newest epoch.

        Raises:
            FencedError: If the epoch is not the newest.
        """
        ...

    async def watch(self, reader: str) -> LeaseView:
        """Look at the lease of a reader, and let its holder know that somebody does."""
        ...

    async def take_over(self, reader: str, streams: Sequence[str], seen: LeaseView) -> Lease | None:
        """:meth:`acquire`, if the lease still looks as it was ``seen``: of any number of standbys one succeeds.

        Returns:
            The lease, or None when the holder has moved since, or another standby was first. Repeated after a lost
            reply it gives None; the lease of the first call is then held by nobody and goes silent like any other.
        """
        ...

    async def commit(self, commit: Commit) -> None:
        """Append outputs and journal and move positions, all or none.

        Raises:
            FencedError: If the epoch is not the newest.
        """
        ...

    async def positions(self, reader: str) -> dict[str, str]:
        """Committed positions of a reader, empty if unknown."""
        ...

    async def quiescence(self, readers: Sequence[str]) -> Quiescence:
        """Look at all readers and streams at one instant."""
        ...

    async def journal(self, reader: str, after: int, count: int) -> list[tuple[int, bytes]]:
        """Journal entries with commit number > ``after``, oldest first, at most ``count``."""
        ...

    async def save_snapshot(
        self, reader: str, epoch: int, snapshot: StoredSnapshot, positions: Mapping[str, str]
    ) -> None:
        """Store a snapshot, keeping the previous one; ``positions`` bounds what trimming may remove.

        Raises:
            FencedError: If the epoch is not the newest.
        """
        ...

    async def load_snapshots(self, reader: str) -> list[StoredSnapshot]:
        """Stored snapshots, newest first, at most two."""
        ...

    async def trim(self, retention: Mapping[str, int]) -> int:
        """Trim each stream up to the lowest older-snapshot position of its readers.

        At least ``retention`` entries stay. A stream with a registered reader that has fewer than two snapshots is left
        alone. Journals are trimmed to the older of the two. Returns the entries removed.
        """
        ...
