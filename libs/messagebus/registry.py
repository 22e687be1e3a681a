"""The sequenced readers a bus knows, and taking one off its list.

A registered reader holds back trimming: what it has not read, and what its older snapshot needs, stays. For an engine
that never comes back that is for ever, so an operator may deregister it. Nothing of its state is lost: its journal,
snapshots, positions and commit count stay, and it registers itself again when it starts. What was trimmed meanwhile it
then misses, and it says so and refuses to guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from libs.messagebus.errors import FencedError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.redis.parse import byte_pairs, text_pairs
from libs.messagebus.redis.replies import ReplyError, refusal_of
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import Transport


@dataclass(frozen=True, slots=True)
class ReaderFacts:
    """What the bus knows of a sequenced reader.

    Attributes:
        streams: What it reads; empty = it was deregistered and holds nothing back.
        epoch: Of its newest lease.
        positions: Last committed entry id by stream.
        bound: By stream, the entry id up to which trimming may go for its sake; None while it holds everything back.
    """

    name: str
    streams: tuple[str, ...]
    epoch: int
    commits: int
    positions: Mapping[str, str]
    bound: Mapping[str, str] | None


class ReaderRegistry(Protocol):
    """The list of readers of one bus."""

    async def readers(self) -> list[ReaderFacts]:
        """All readers that ever registered, by name."""
        ...

    async def deregister(self, reader: str, epoch: int) -> None:
        """Take a reader off the list and take its lease away, so that a host of it that still runs commits no more.

        Args:
            epoch: The newest one the caller knows of.

        Raises:
            FencedError: If there is a newer one: somebody has started it meanwhile.
        """
        ...


def registry_of(transport: Transport) -> ReaderRegistry:
    """The list of readers behind a transport.

    Raises:
        TypeError: If it is of neither kind.
    """
    if isinstance(transport, MemoryTransport):
        return _MemoryRegistry(transport)
    if isinstance(transport, RedisTransport):
        return _RedisRegistry(transport)
    raise TypeError(f"transport must be a memory or a Redis transport, was {type(transport).__name__}")


class _MemoryRegistry:
    def __init__(self, transport: MemoryTransport) -> None:
        self._states = transport._readers

    async def readers(self) -> list[ReaderFacts]:
        return [
            ReaderFacts(
                name, state.streams, state.epoch, state.commits, dict(state.positions),
                dict(state.snapshots[1][1]) if len(state.snapshots) == 2 and state.streams else None,
            )
            for name, state in sorted(self._states.items())
        ]  # fmt: skip

    async def deregister(self, reader: str, epoch: int) -> None:
        state = self._states.get(reader)
        newest = state.epoch if state else 0
        if state is None or newest != epoch:
            raise _moved(reader, epoch, newest)
        state.next_epoch(())


class _RedisRegistry:
    def __init__(self, transport: RedisTransport) -> None:
        self._transport = transport
        self._keys = transport._keys

    async def readers(self) -> list[ReaderFacts]:
        named, ask = self._keys, self._transport._send
        registered = byte_pairs(await ask(("HGETALL", named.readers)))
        bounds = byte_pairs(await ask(("HGETALL", named.bounds)))
        found = []
        for name, packed in sorted(registered.items()):
            epoch, commits = await ask(("HMGET", named.reader(name), "epoch", "commits"))
            positions = text_pairs(await ask(("HGETALL", named.positions(name))))
            bound: Any = msgspec.msgpack.decode(bounds[name])[1] if name in bounds else None
            streams = tuple(msgspec.msgpack.decode(packed, type=list[str]))
            found.append(ReaderFacts(name, streams, int(epoch or 0), int(commits or 0), positions, bound))
        return found

    async def deregister(self, reader: str, epoch: int) -> None:
        named = self._keys
        keys = (named.reader(reader), named.readers, named.bounds)
        try:
            await self._transport._script("deregister", keys, (reader, epoch, msgspec.msgpack.encode([])))
        except ReplyError as reply:
            raise refusal_of(reply, reader, epoch, 0) from None


def _moved(reader: str, epoch: int, newest: int) -> FencedError:
    return FencedError(f"epoch of '{reader}' must be {newest}, was {epoch}: another host of this engine took over")
