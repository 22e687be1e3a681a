"""The bus of a simulated fleet: the memory transport, and what a server can do to its clients.

What :class:`~libs.messagebus.memory.MemoryTransport` cannot do is lose something. Here it can: :meth:`Server.fail_over`
puts back an image of some writes ago, as a replica would that had not received them. What Redis then does is done here
by the same rule (``libs/messagebus/redis/log.lua``): every write has a stamp, a client sends the greatest one it has
seen, and a client that has seen a lost one may not write any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from libs.contracts.topics import CODEC
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import StateLostError
from libs.messagebus.lease import Lease, LeaseView
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.memory_state import ReaderState, StreamState
from libs.messagebus.transport import Commit, Entry, Output

#: An entry without events: stands where a lost one was, so that no id is given out twice.
_FILLER = CODEC.encode(RecordBatch("", 0, 0, []))


@dataclass(frozen=True, slots=True)
class Landed:
    """One write that landed.

    Attributes:
        producer: Reader that committed, or producer that appended.
        commit: The commit; None for an append.
        outputs: What was really put on streams.
    """

    producer: str
    commit: Commit | None
    outputs: list[Entry]


@dataclass(frozen=True, slots=True)
class Image:
    """What a replica holds: everything up to one stamp."""

    stamp: int
    streams: dict[str, StreamState]
    readers: dict[str, ReaderState]
    producers: dict[str, int]
    beside: Any


class Server(MemoryTransport):
    """The memory transport, watched.

    Args:
        on_landed: Told of each write after it landed.
        on_acquired: Told of each lease given, with its epoch.

    Attributes:
        is_down: Nobody reaches it.
        generation: Failovers so far; a connection of an older one is broken.
        stamp: Of the last write it holds; the next one gets a greater stamp than any that was ever given.
    """

    def __init__(self, on_landed: Callable[[Landed], None], on_acquired: Callable[[str, int], None]) -> None:
        super().__init__()
        self.is_down = False
        self.generation = 0
        self.stamp = 0
        self._newest_stamp = 0
        self._on_landed = on_landed
        self._on_acquired = on_acquired
        self._put_now: list[Entry] = []
        self._gaps: list[tuple[int, int]] = []
        self._waiting: dict[str, dict[asyncio.Event, None]] = {}  # a set has another order in every run

    # -- writes -----------------------------------------------------------------------------------

    def append_nowait(self, producer: str, sequence: int, count: int, outputs: Sequence[Output]) -> bool:
        """See :meth:`Transport.append`."""
        self._put_now = []
        done = super().append_nowait(producer, sequence, count, outputs)
        if self._put_now:
            self._landed(Landed(producer, None, self._put_now))
        return done

    def commit_nowait(self, commit: Commit) -> None:
        """See :meth:`Transport.commit`."""
        self._put_now = []
        before = self.commits_of(commit.reader)
        super().commit_nowait(commit)
        if self._put_now or self.commits_of(commit.reader) != before:
            self._landed(Landed(commit.reader, commit, self._put_now))

    def acquire_nowait(self, reader: str, streams: Sequence[str]) -> Lease:
        """See :meth:`Transport.acquire`."""
        lease = super().acquire_nowait(reader, streams)
        self._on_acquired(reader, lease.epoch)
        return lease

    def take_over_nowait(self, reader: str, streams: Sequence[str], seen: LeaseView) -> Lease | None:
        """See :meth:`Transport.take_over`."""
        lease = super().take_over_nowait(reader, streams, seen)
        if lease is not None:
            self._on_acquired(reader, lease.epoch)
        return lease

    def _put(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            super()._put([output])
            self._put_now.append(self._streams[output.stream].entries[-1])

    def _landed(self, landed: Landed) -> None:
        self._newest_stamp += 1
        self.stamp = self._newest_stamp
        for name, _, _ in landed.outputs:
            for event in self._waiting.get(name, ()):
                event.set()
        self._on_landed(landed)

    def check_mark(self, mark: int) -> None:
        """Refuse a writer that has seen what was lost.

        Raises:
            StateLostError: If ``mark`` is the stamp of a write that is gone.
        """
        for first, last in self._gaps:
            if first < mark <= last:
                raise StateLostError(
                    f"the log of the server must hold write {mark}, which this process has seen, was without "
                    f"{first + 1} to {last} after a failover; restart this host, which recovers from what is left"
                )

    # -- reading ----------------------------------------------------------------------------------

    def subscribe(self, streams: Sequence[str], arrived: asyncio.Event) -> None:
        """Set ``arrived`` when something is written to one of ``streams``."""
        for name in streams:
            self._waiting.setdefault(name, {})[arrived] = None

    def unsubscribe(self, streams: Sequence[str], arrived: asyncio.Event) -> None:
        """The end of :meth:`subscribe`."""
        for name in streams:
            self._waiting[name].pop(arrived, None)

    def commits_of(self, reader: str) -> int:
        """Commits of a reader that the server holds."""
        state = self._readers.get(reader)
        return state.commits if state else 0

    def epoch_of(self, reader: str) -> int:
        """Newest epoch of a reader."""
        state = self._readers.get(reader)
        return state.epoch if state else 0

    # -- losing -----------------------------------------------------------------------------------

    def image(self, beside: Any) -> Image:
        """What a replica holds that has everything so far; ``beside`` is kept with it."""
        return Image(
            self.stamp,
            {name: copy_stream(stream) for name, stream in self._streams.items()},
            {name: copy_reader(reader) for name, reader in self._readers.items()},
            dict(self._producers),
            beside,
        )

    def fail_over(self, image: Image) -> None:
        """Go on from ``image``; every connection breaks."""
        streams = {name: copy_stream(stream) for name, stream in image.streams.items()}
        for name, stream in self._streams.items():
            kept = streams.setdefault(name, StreamState())
            for number in range(kept.last + 1, stream.last + 1):
                kept.entries.append(Entry(name, f"{number}-{self.generation + 1}", _FILLER))
        if self._newest_stamp > image.stamp:
            self._gaps.append((image.stamp, self._newest_stamp))
        self.stamp = image.stamp
        self._streams, self._producers = streams, dict(image.producers)
        self._readers = {name: copy_reader(reader) for name, reader in image.readers.items()}
        self.break_connections()

    def break_connections(self) -> None:
        """Whoever is connected has to connect again."""
        self.generation += 1
        for waiting in self._waiting.values():
            for event in waiting:
                event.set()


def copy_stream(stream: StreamState) -> StreamState:
    """A copy whose entries may be added to and trimmed."""
    return replace(stream, entries=list(stream.entries))


def copy_reader(reader: ReaderState) -> ReaderState:
    """A copy that shares nothing that changes."""
    copied = copy(reader)
    copied.positions = dict(reader.positions)
    copied.journal = list(reader.journal)
    copied.snapshots = list(reader.snapshots)
    return copied
