"""What the memory transport keeps of streams and readers."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.messagebus.lease import Lease, LeaseView
from libs.messagebus.transport import START, Entry, StoredSnapshot


@dataclass(slots=True)
class StreamState:
    """Entries ``first .. first + len(entries) - 1``; entry number ``n`` has the id ``n-0``."""

    first: int = 1
    entries: list[Entry] = field(default_factory=list)

    @property
    def last(self) -> int:
        """Number of the newest entry, kept or trimmed."""
        return self.first + len(self.entries) - 1

    def drop_through(self, number: int, keep: int) -> int:
        """Remove entries up to ``number`` but leave ``keep``; how many went."""
        drop = max(0, min(number + 1, self.last - keep + 1) - self.first)
        del self.entries[:drop]
        self.first += drop
        return drop


@dataclass(slots=True)
class ReaderState:
    """A sequenced reader.

    Attributes:
        released: Epoch that was given up, 0 = none.
        watched: Whether a standby has ever looked.
    """

    streams: tuple[str, ...] = ()
    epoch: int = 0
    commits: int = 0
    beats: int = 0
    released: int = 0
    watched: bool = False
    positions: dict[str, str] = field(default_factory=dict)
    journal: list[tuple[int, bytes]] = field(default_factory=list)
    snapshots: list[tuple[StoredSnapshot, dict[str, str]]] = field(default_factory=list)

    def next_epoch(self, streams: tuple[str, ...]) -> Lease:
        """Give the lease to whoever asks."""
        self.streams = streams
        self.epoch += 1
        return Lease(self.epoch, self.commits, dict(self.positions))

    def bound(self, stream: str) -> int:
        """Number of the entry up to which a stream may be trimmed for this reader: that of its older snapshot."""
        return number_of(self.snapshots[1][1].get(stream, START)) if len(self.snapshots) == 2 else 0

    def trim_journal(self) -> int:
        """Remove what is older than both snapshots; how many entries went."""
        before = len(self.journal)
        if len(self.snapshots) == 2:
            self.journal = [entry for entry in self.journal if entry[0] > self.snapshots[1][0].number]
        return before - len(self.journal)

    def view(self) -> LeaseView:
        """What a standby sees."""
        return LeaseView(self.epoch, self.beats, self.commits, 0 < self.epoch == self.released)


def number_of(entry_id: str) -> int:
    """The part of an entry id that counts here."""
    return int(entry_id.partition("-")[0])
