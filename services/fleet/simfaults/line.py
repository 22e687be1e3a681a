"""One process's line to the bus: a transport on which a call is slow, fails, or is the last one of its process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from libs.contracts.topics import CODEC
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import TransportError
from libs.messagebus.transport import Commit, Entry, Output, Quiescence, StoredSnapshot
from services.fleet.simfaults.faults import Fault, FaultBook
from services.fleet.simfaults.server import Server

#: How long a call takes, drawn for each: most are prompt, some let others overtake.
LATENCIES = (0.0, 0.0, 0.0, 0.0, 0.00005, 0.0001, 0.0003, 0.002)
_SHORT_READS = 12


class Owner(Protocol):
    """The process at this end of a line."""

    name: str
    is_dead: bool

    def kill(self) -> None:
        """End it as SIGKILL does."""
        ...

    def freeze(self, seconds: float, is_hot: bool) -> None:
        """Stop it as SIGSTOP does; ``is_hot`` = a standby follows it."""
        ...

    def restart(self) -> None:
        """Stop it as SIGTERM does, to be started again."""
        ...


class Line:
    """A :class:`~libs.messagebus.transport.Transport` for one process.

    Attributes:
        awake: Not set while the process is frozen: its calls wait.
        unwell: Calls that are still to be refused, or reads to be cut short, by method.
    """

    def __init__(self, server: Server, owner: Owner, book: FaultBook, seed: str) -> None:
        self.awake = asyncio.Event()
        self.awake.set()
        self._server = server
        self._owner = owner
        self._book = book
        self._random = random.Random(seed)
        self._generation = server.generation
        self._mark = 0
        self._refusals: dict[str, int] = {}
        self._short_reads = 0
        self._again = False

    # -- one call ---------------------------------------------------------------------------------

    async def _call(self, method: str, operation: Callable[[], Any]) -> Any:
        due = self._book.next(self._owner.name, method)
        for fault in due:
            await self._before(method, fault)
        if delay := self._random.choice(LATENCIES):
            await asyncio.sleep(delay)
        await self._reach(method)
        result = operation()
        if isinstance(result, Awaitable):
            result = await result
            self._check_connected()
        if method in ("read", "quiescence", "append", "commit", "acquire", "take_over"):
            self._server.check_mark(self._mark)  # before a newer stamp hides that the one it knows was lost
            self._mark = max(self._mark, self._server.stamp)
        for fault in due:
            if fault.kind == "crash_after":
                await self._die()
            elif fault.kind == "reply_lost":
                raise TransportError(f"reply to {method} must arrive, was lost (simulated); the call may be repeated")
        return result

    async def _before(self, method: str, fault: Fault) -> None:
        match fault.kind:
            case "crash_before":
                await self._die()
            case "frozen":
                self._owner.freeze(fault.seconds, fault.count > 1)
            case "restart":
                self._owner.restart()
            case "delayed":
                await asyncio.sleep(fault.seconds)
            case "refused":
                self._refusals[method] = fault.count
            case "sent_again":
                self._again = True
            case "short_read":
                self._short_reads = _SHORT_READS
            case _:
                pass

    async def _reach(self, method: str) -> None:
        while not self.awake.is_set():
            await self.awake.wait()
        if self._owner.is_dead:
            raise asyncio.CancelledError
        if self._refusals.get(method):
            self._refusals[method] -= 1
            raise TransportError(f"{method} must reach the server, was refused (simulated); the call may be repeated")
        if self._server.is_down:
            raise TransportError(f"{method} must reach the server, was down (simulated); the call may be repeated")
        self._check_connected()

    def _check_connected(self) -> None:
        if self._generation != self._server.generation:
            self._generation = self._server.generation
            raise TransportError(
                "connection must stand, was broken by a failover (simulated); the call may be repeated"
            )

    async def _die(self) -> None:
        self._owner.kill()
        await asyncio.sleep(0)  # the cancellation comes here
        raise asyncio.CancelledError

    # -- writes -----------------------------------------------------------------------------------

    async def append(self, producer: str, sequence: int, count: int, outputs: Sequence[Output]) -> bool:
        """See :meth:`Transport.append`."""

        def operation() -> bool:
            self._server.check_mark(self._mark)
            done = self._server.append_nowait(producer, sequence, count, outputs)
            if self._again and done:
                self._again = False
                self._send_again(outputs)
            return done

        appended: bool = await self._call("append", operation)
        return appended

    def _send_again(self, outputs: Sequence[Output]) -> None:
        """What a source does that died after its commands were on the bus and was started again."""
        for stream, data in outputs:
            batch = CODEC.decode(data)
            producer = f"{batch.producer}-again-{batch.sequence}"
            copied = RecordBatch(producer, 0, batch.ts_publish, batch.events)
            self._server.append_nowait(producer, 0, len(batch.events), [Output(stream, CODEC.encode(copied))])

    async def commit(self, commit: Commit) -> None:
        """See :meth:`Transport.commit`."""

        def operation() -> None:
            self._server.check_mark(self._mark)
            self._server.commit_nowait(commit)

        await self._call("commit", operation)

    async def save_snapshot(
        self, reader: str, epoch: int, snapshot: StoredSnapshot, positions: Mapping[str, str]
    ) -> None:
        """See :meth:`Transport.save_snapshot`."""

        def operation() -> Awaitable[None]:
            self._server.check_mark(self._mark)
            return self._server.save_snapshot(reader, epoch, snapshot, positions)

        await self._call("save_snapshot", operation)

    # -- reading ----------------------------------------------------------------------------------

    async def read(self, positions: Mapping[str, str], count: int, block_ms: int) -> list[Entry]:
        """See :meth:`Transport.read`; at most ``block_ms`` like the real one, woken by writes to its streams only."""
        if self._short_reads:
            self._short_reads -= 1
            count = 1

        async def operation() -> list[Entry]:
            arrived = asyncio.Event()
            streams = list(positions)
            self._server.subscribe(streams, arrived)
            try:
                async with asyncio.timeout(block_ms / 1000):
                    while not (found := self._server.read_nowait(positions, count)):
                        if not block_ms or self._generation != self._server.generation or self._server.is_down:
                            break
                        arrived.clear()
                        await arrived.wait()
                    return found
            except TimeoutError:
                return []
            finally:
                self._server.unsubscribe(streams, arrived)

        entries: list[Entry] = await self._call("read", operation)
        return entries

    async def read_range(self, stream: str, first: str, last: str, count: int) -> list[Entry]:
        """See :meth:`Transport.read_range`."""
        found: list[Entry] = await self._call("read_range", lambda: self._server.read_range(stream, first, last, count))
        return found

    async def quiescence(self, readers: Sequence[str]) -> Quiescence:
        """See :meth:`Transport.quiescence`."""
        answer: Quiescence = await self._call("quiescence", lambda: self._server.quiescence_nowait(readers))
        return answer

    def __getattr__(self, method: str) -> Any:
        """Every other call of :class:`Transport` is passed on, with the same faults."""
        inner = getattr(self._server, method)
        return lambda *arguments: self._call(method, lambda: inner(*arguments))
