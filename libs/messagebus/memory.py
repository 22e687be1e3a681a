"""The memory transport: the same semantics as Redis, in one process, surviving nothing.

Every operation has a synchronous core (``*_nowait``) so that a simulation drives hosts without an event
loop; the asynchronous protocol wraps those.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from libs.messagebus.errors import FencedError, StateLostError, TransportError, TrimmedError
from libs.messagebus.groups import GroupBook
from libs.messagebus.lease import Lease, LeaseView
from libs.messagebus.memory_state import ReaderState, StreamState, number_of
from libs.messagebus.transport import START, Commit, Entry, Output, Quiescence, StoredSnapshot, check_sizes


class MemoryTransport:
    """A :class:`~libs.messagebus.transport.Transport` in plain Python objects."""

    def __init__(self) -> None:
        self._streams: dict[str, StreamState] = {}
        self._readers: dict[str, ReaderState] = {}
        self._producers: dict[str, int] = {}
        self.groups = GroupBook()
        self._arrival: asyncio.Event | None = None
        self._closed = False

    # -- synchronous core -------------------------------------------------------------------------

    def append_nowait(self, producer: str, sequence: int, count: int, outputs: Sequence[Output]) -> bool:
        """See :meth:`Transport.append`."""
        check_sizes(outputs)
        if self._producers.get(producer, -1) >= sequence:
            return False
        self._producers[producer] = sequence + count - 1
        self._put(outputs)
        return True

    def read_nowait(self, positions: Mapping[str, str], count: int) -> list[Entry]:
        """See :meth:`Transport.read`."""
        found: list[Entry] = []
        for name, position in positions.items():
            stream = self._streams.get(name)
            if stream is None:
                continue
            start = number_of(position) + 1 - stream.first
            if start < 0:
                raise TrimmedError(
                    f"stream '{name}' was trimmed up to entry {stream.first - 1}-0, was read from {position}; "
                    "restore the reader from a snapshot at or after that entry"
                )
            if start < len(stream.entries):
                found.extend(stream.entries[start : start + count])
        return found

    def acquire_nowait(self, reader: str, streams: Sequence[str]) -> Lease:
        """See :meth:`Transport.acquire`."""
        state = self._readers.setdefault(reader, ReaderState())
        return state.next_epoch(tuple(streams))

    def renew_nowait(self, reader: str, epoch: int) -> bool:
        """See :meth:`Transport.renew`."""
        state = self._holder(reader, epoch)
        state.beats += state.watched
        return state.watched

    def release_nowait(self, reader: str, epoch: int) -> None:
        """See :meth:`Transport.release`."""
        self._holder(reader, epoch).released = epoch

    def watch_nowait(self, reader: str) -> LeaseView:
        """See :meth:`Transport.watch`; once looked at, a lease of this transport counts as watched for good."""
        state = self._readers.get(reader)
        if state is None:
            return LeaseView(0, 0, 0, False)
        state.watched = True
        return state.view()

    def take_over_nowait(self, reader: str, streams: Sequence[str], seen: LeaseView) -> Lease | None:
        """See :meth:`Transport.take_over`."""
        state = self._readers.setdefault(reader, ReaderState())
        return state.next_epoch(tuple(streams)) if state.view() == seen else None

    def commit_nowait(self, commit: Commit) -> None:
        """See :meth:`Transport.commit`."""
        check_sizes(commit.outputs)
        state = self._holder(commit.reader, commit.epoch)
        if commit.number <= state.commits:
            return
        if commit.number != state.commits + 1:
            raise StateLostError(
                f"commit of '{commit.reader}' must be number {state.commits + 1}, was {commit.number}: the server lost "
                "commits; restart this host, which recovers from what is left"
            )
        state.commits = commit.number
        state.positions.update(commit.positions)
        state.journal.append((commit.number, commit.journal))
        self._put(commit.outputs)

    def quiescence_nowait(self, readers: Sequence[str]) -> Quiescence:
        """See :meth:`Transport.quiescence`."""
        waiting = []
        for name in readers:
            state = self._readers.get(name)
            if state is None or any(
                (stream := self._streams.get(key)) is not None
                and number_of(state.positions.get(key, START)) < stream.last
                for key in state.streams
            ):
                waiting.append(name)
        return Quiescence(not waiting, sorted(waiting))

    def drop_consumed_nowait(self) -> list[tuple[str, bytes]]:
        """Remove every entry and journal entry, returning the entries as ``(stream, data)``; for a quiet simulation.

        Raises:
            TransportError: If a registered reader still has something to read.
        """
        quiescence = self.quiescence_nowait(sorted(self._readers))
        if not quiescence.quiet:
            raise TransportError(
                f"entries are still to be read by {', '.join(quiescence.waiting_for)}; drain them first"
            )
        dropped: list[tuple[str, bytes]] = []
        for name in sorted(self._streams):
            stream = self._streams[name]
            dropped.extend((name, entry.data) for entry in stream.entries)
            stream.first += len(stream.entries)
            stream.entries.clear()
        for reader in self._readers.values():
            reader.journal.clear()
        return dropped

    def _holder(self, reader: str, epoch: int) -> ReaderState:
        state = self._readers.get(reader)
        if state is None or state.epoch != epoch:
            newest = state.epoch if state else 0
            if 0 < newest < epoch:
                raise StateLostError(
                    f"epoch of '{reader}' must be {epoch}, was {newest}: the server lost acknowledged writes; restart "
                    "this host, which recovers from what is left"
                )
            raise FencedError(
                f"epoch of '{reader}' must be {newest}, was {epoch}: another host of this engine took over; "
                "stop this one"
            )
        return state

    def _put(self, outputs: Sequence[Output]) -> None:
        for name, data in outputs:
            stream = self._streams.get(name)
            if stream is None:
                stream = self._streams[name] = StreamState()
            stream.entries.append(Entry(name, f"{stream.last + 1}-0", data))
        if outputs and self._arrival is not None:
            self._arrival.set()

    # -- the protocol -----------------------------------------------------------------------------

    async def connect(self) -> None:
        """Nothing to connect; bind to the running loop."""
        if self._arrival is None:
            self._arrival = asyncio.Event()

    async def close(self) -> None:
        """Refuse further use and wake blocked readers."""
        self._closed = True
        if self._arrival is not None:
            self._arrival.set()

    async def ping(self) -> None:
        """Answer while open."""
        if self._closed:
            raise TransportError("memory transport is closed; make a new one")

    async def append(self, producer: str, sequence: int, count: int, outputs: Sequence[Output]) -> bool:
        """See :meth:`Transport.append`."""
        await self.ping()
        return self.append_nowait(producer, sequence, count, outputs)

    async def read(self, positions: Mapping[str, str], count: int, block_ms: int) -> list[Entry]:
        """See :meth:`Transport.read`."""
        await self.connect()
        await self.ping()
        assert self._arrival is not None
        found = self.read_nowait(positions, count)
        if found or not block_ms:
            return found
        try:
            async with asyncio.timeout(block_ms / 1000):
                while not found and not self._closed:
                    self._arrival.clear()
                    await self._arrival.wait()
                    found = self.read_nowait(positions, count)
        except TimeoutError:
            return []
        await self.ping()
        return found

    async def read_range(self, stream: str, first: str, last: str, count: int) -> list[Entry]:
        """See :meth:`Transport.read_range`."""
        state = self._streams.get(stream)
        if state is None:
            return []
        low = bisect_left(state.entries, number_of(first), key=lambda entry: number_of(entry.entry_id))
        high = bisect_right(state.entries, number_of(last), key=lambda entry: number_of(entry.entry_id))
        return state.entries[low : min(high, low + count)]

    async def tails(self, streams: Sequence[str]) -> dict[str, str]:
        """See :meth:`Transport.tails`."""
        return {name: f"{self._streams[name].last}-0" if name in self._streams else START for name in streams}

    async def acquire(self, reader: str, streams: Sequence[str]) -> Lease:
        """See :meth:`Transport.acquire`."""
        await self.ping()
        return self.acquire_nowait(reader, streams)

    async def renew(self, reader: str, epoch: int) -> bool:
        """See :meth:`Transport.renew`."""
        await self.ping()
        return self.renew_nowait(reader, epoch)

    async def release(self, reader: str, epoch: int) -> None:
        """See :meth:`Transport.release`."""
        await self.ping()
        self.release_nowait(reader, epoch)

    async def watch(self, reader: str) -> LeaseView:
        """See :meth:`Transport.watch`."""
        await self.ping()
        return self.watch_nowait(reader)

    async def take_over(self, reader: str, streams: Sequence[str], seen: LeaseView) -> Lease | None:
        """See :meth:`Transport.take_over`."""
        await self.ping()
        return self.take_over_nowait(reader, streams, seen)

    async def commit(self, commit: Commit) -> None:
        """See :meth:`Transport.commit`."""
        await self.ping()
        self.commit_nowait(commit)

    async def positions(self, reader: str) -> dict[str, str]:
        """See :meth:`Transport.positions`."""
        state = self._readers.get(reader)
        return dict(state.positions) if state else {}

    async def quiescence(self, readers: Sequence[str]) -> Quiescence:
        """See :meth:`Transport.quiescence`."""
        return self.quiescence_nowait(readers)

    async def journal(self, reader: str, after: int, count: int) -> list[tuple[int, bytes]]:
        """See :meth:`Transport.journal`."""
        state = self._readers.get(reader)
        if state is None:
            return []
        return [entry for entry in state.journal if entry[0] > after][:count]

    async def save_snapshot(
        self, reader: str, epoch: int, snapshot: StoredSnapshot, positions: Mapping[str, str]
    ) -> None:
        """See :meth:`Transport.save_snapshot`."""
        state = self._holder(reader, epoch)
        newest = state.snapshots[0][0].number if state.snapshots else -1
        if snapshot.number < newest:
            raise StateLostError(
                f"snapshot of '{reader}' must be at commit {newest} or later, was {snapshot.number}: the server lost "
                "commits; restart this host, which recovers from what is left"
            )
        kept = state.snapshots[1:] if snapshot.number == newest else state.snapshots
        state.snapshots = [(snapshot, dict(positions)), *kept][:2]

    async def load_snapshots(self, reader: str) -> list[StoredSnapshot]:
        """See :meth:`Transport.load_snapshots`."""
        state = self._readers.get(reader)
        return [snapshot for snapshot, _ in state.snapshots] if state else []

    async def trim(self, retention: Mapping[str, int]) -> int:
        """See :meth:`Transport.trim`."""
        removed = 0
        for name, keep in sorted(retention.items()):
            stream = self._streams.get(name)
            if stream is None:
                continue
            bounds = [state.bound(name) for state in self._readers.values() if name in state.streams]
            bound = min([*bounds, self.groups.floor(name, stream.last), stream.last])
            removed += stream.drop_through(bound, keep)
        return removed + sum(state.trim_journal() for state in self._readers.values())
