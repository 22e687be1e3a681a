"""A transport that fails on command: the faults of a network, around any real transport."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, TypeVar

from libs.messagebus.errors import TransportError
from libs.messagebus.lease import Lease, LeaseView
from libs.messagebus.transport import Commit, Entry, Output, Quiescence, StoredSnapshot, Transport

Fault = Literal["refused", "reply_lost"]

T = TypeVar("T")


class FaultyTransport:
    """Passes every call on to ``inner``, unless a fault is due for it.

    Attributes:
        calls: Calls by method, failed ones included.
        down: While true every call is refused.
        open: While it is not set, calls wait before they reach ``inner``; set from the start.
    """

    def __init__(self, inner: Transport) -> None:
        """Wrap ``inner``; without faults it behaves like it."""
        self.inner = inner
        self.calls: Counter[str] = Counter()
        self.down = False
        self.open = asyncio.Event()
        self.open.set()
        self._faults: dict[str, deque[Fault | None]] = {}

    def fail(self, method: str, *faults: Fault | None) -> None:
        """Let the next calls of ``method`` fail, one fault each.

        ``refused``: nothing happens. ``reply_lost``: it happens, and the caller does not learn of it. None: no fault.
        """
        self._faults.setdefault(method, deque()).extend(faults)

    async def _call(self, method: str, operation: Callable[[], Awaitable[T]]) -> T:
        self.calls[method] += 1
        await self.open.wait()
        due = self._faults.get(method)
        fault = due.popleft() if due else None
        if self.down or fault == "refused":
            raise TransportError(f"{method} must reach the server, was refused (injected); the call may be repeated")
        result = await operation()
        if fault == "reply_lost":
            raise TransportError(f"reply to {method} must arrive, was lost (injected); the call may be repeated")
        return result

    async def connect(self) -> None:
        """See :meth:`Transport.connect`."""
        await self._call("connect", self.inner.connect)

    async def close(self) -> None:
        """See :meth:`Transport.close`; never fails."""
        await self.inner.close()

    async def ping(self) -> None:
        """See :meth:`Transport.ping`."""
        await self._call("ping", self.inner.ping)

    async def append(self, producer: str, sequence: int, count: int, outputs: Sequence[Output]) -> bool:
        """See :meth:`Transport.append`."""
        return await self._call("append", lambda: self.inner.append(producer, sequence, count, outputs))

    async def read(self, positions: Mapping[str, str], count: int, block_ms: int) -> list[Entry]:
        """See :meth:`Transport.read`."""
        return await self._call("read", lambda: self.inner.read(positions, count, block_ms))

    async def read_range(self, stream: str, first: str, last: str, count: int) -> list[Entry]:
        """See :meth:`Transport.read_range`."""
        return await self._call("read_range", lambda: self.inner.read_range(stream, first, last, count))

    async def tails(self, streams: Sequence[str]) -> dict[str, str]:
        """See :meth:`Transport.tails`."""
        return await self._call("tails", lambda: self.inner.tails(streams))

    async def acquire(self, reader: str, streams: Sequence[str]) -> Lease:
        """See :meth:`Transport.acquire`."""
        return await self._call("acquire", lambda: self.inner.acquire(reader, streams))

    async def renew(self, reader: str, epoch: int) -> bool:
        """See :meth:`Transport.renew`."""
        return await self._call("renew", lambda: self.inner.renew(reader, epoch))

    async def release(self, reader: str, epoch: int) -> None:
        """See :meth:`Transport.release`."""
        await self._call("release", lambda: self.inner.release(reader, epoch))

    async def watch(self, reader: str) -> LeaseView:
        """See :meth:`Transport.watch`."""
        return await self._call("watch", lambda: self.inner.watch(reader))

    async def take_over(self, reader: str, streams: Sequence[str], seen: LeaseView) -> Lease | None:
        """See :meth:`Transport.take_over`."""
        return await self._call("take_over", lambda: self.inner.take_over(reader, streams, seen))

    async def commit(self, commit: Commit) -> None:
        """See :meth:`Transport.commit`."""
        await self._call("commit", lambda: self.inner.commit(commit))

    async def positions(self, reader: str) -> dict[str, str]:
        """See :meth:`Transport.positions`."""
        return await self._call("positions", lambda: self.inner.positions(reader))

    async def quiescence(self, readers: Sequence[str]) -> Quiescence:
        """See :meth:`Transport.quiescence`."""
        return await self._call("quiescence", lambda: self.inner.quiescence(readers))

    async def journal(self, reader: str, after: int, count: int) -> list[tuple[int, bytes]]:
        """See :meth:`Transport.journal`."""
        return await self._call("journal", lambda: self.inner.journal(reader, after, count))

    async def save_snapshot(
        self, reader: str, epoch: int, snapshot: StoredSnapshot, positions: Mapping[str, str]
    ) -> None:
        """See :meth:`Transport.save_snapshot`."""
        await self._call("save_snapshot", lambda: self.inner.save_snapshot(reader, epoch, snapshot, positions))

    async def load_snapshots(self, reader: str) -> list[StoredSnapshot]:
        """See :meth:`Transport.load_snapshots`."""
        return await self._call("load_snapshots", lambda: self.inner.load_snapshots(reader))

    async def trim(self, retention: Mapping[str, int]) -> int:
        """See :meth:`Transport.trim`."""
        return await self._call("trim", lambda: self.inner.trim(retention))
