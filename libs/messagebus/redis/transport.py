"""The Redis transport: the protocol of :mod:`libs.messagebus.transport` on streams, hashes and Lua scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from libs.messagebus.lease import WATCH_SECONDS, Lease, LeaseView
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.cluster import hash_tag
from libs.messagebus.redis.connection import CONNECT_TIMEOUT_S, Argument, Command
from libs.messagebus.redis.keys import Keys
from libs.messagebus.redis.parse import byte_pairs, check_not_trimmed, read_entries, stream_entries, text_pairs
from libs.messagebus.redis.pool import ConnectionPool
from libs.messagebus.redis.replies import OWN_CODES, ReplyError, check_not_lost, log_lost, refusal_of
from libs.messagebus.redis.scripts import GO_ON, load
from libs.messagebus.transport import START, Commit, Entry, Output, Quiescence, StoredSnapshot, check_sizes

PRODUCER_MEMORY_S = 7 * 24 * 3600
"""How long after its last write a producer's sequence is remembered; a resend later than that would be doubled."""

TRIM_CHUNK = 256
"""Entries one trim script removes: it copies them, and nothing else runs meanwhile (about 1 ms at 5 kB each)."""

_pack = msgspec.msgpack.encode


class RedisTransport:
    """A :class:`~libs.messagebus.transport.Transport` on a Redis server, 6.2 or newer.

    Nothing is retried here. A call that finds the connection lost raises ``TransportError``, and the next call
    connects again, within ``connect_timeout_s``. Every write may be repeated: it lands once. A write by a process that
    has seen more than the log still holds raises ``StateLostError`` (see ``log.lua``).
    """

    def __init__(self, url: str, prefix: str = "{nautilus}", connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Prepare a transport; nothing is connected yet.

        Args:
            url: See :meth:`RedisAddress.parse`.
            prefix: Beginning of every key; the braces keep all keys in one slot of a cluster. Two fleets on one server
                take two prefixes.
            connect_timeout_s: Limit of connecting with login.

        Raises:
            ValueError: If the URL is malformed, or the prefix would spread the keys over a cluster.
        """
        self._pool = ConnectionPool(RedisAddress.parse(url), connect_timeout_s, prefix)
        if self._pool.address.kind == "cluster" and hash_tag(prefix) == prefix:
            raise ValueError(
                f"prefix of a fleet in a cluster must hold a name in braces, was '{prefix}'; write '{{{prefix}}}'"
            )
        self._keys = Keys(prefix)
        self._label = self._pool.address.label
        self._mark = 0  # newest stamp any answer has shown

    def __repr__(self) -> str:
        """Name the server, without secrets."""
        return f"RedisTransport({self._label!r}, prefix={self._keys.prefix!r})"

    async def connect(self) -> None:
        """See :meth:`Transport.connect`; refuses servers that are too old or evict keys."""
        await self._pool.writer()
        await self._pool.check_server()

    async def close(self) -> None:
        """See :meth:`Transport.close`."""
        await self._pool.close()

    async def ping(self) -> None:
        """See :meth:`Transport.ping`."""
        await self._send(("PING",))

    # -- writing ----------------------------------------------------------------------------------

    async def append(self, producer: str, sequence: int, count: int, outputs: Sequence[Output]) -> bool:
        """See :meth:`Transport.append`."""
        keys, data = self._outputs(outputs)
        last = sequence + count - 1
        return bool(
            await self._script(
                "append",
                (self._keys.producer(producer), self._keys.tails, *keys),
                (sequence, last, PRODUCER_MEMORY_S, *data),
            )
        )

    async def acquire(self, reader: str, streams: Sequence[str]) -> Lease:
        """See :meth:`Transport.acquire`."""
        epoch, commits, positions = await self._acquire(reader, streams)
        return Lease(epoch, commits, text_pairs(positions))

    async def take_over(self, reader: str, streams: Sequence[str], seen: LeaseView) -> Lease | None:
        """See :meth:`Transport.take_over`."""
        released = seen.epoch if seen.released else 0
        found = await self._acquire(reader, streams, seen.epoch, seen.beats, seen.commits, released)
        return Lease(found[0], found[1], text_pairs(found[2])) if found else None

    async def renew(self, reader: str, epoch: int) -> bool:
        """See :meth:`Transport.renew`."""
        named = self._keys
        return bool(await self._fenced("renew", (named.reader(reader), named.watch(reader)), (epoch,), reader, epoch))

    async def release(self, reader: str, epoch: int) -> None:
        """See :meth:`Transport.release`."""
        await self._fenced("release", (self._keys.reader(reader),), (epoch,), reader, epoch)

    async def watch(self, reader: str) -> LeaseView:
        """See :meth:`Transport.watch`."""
        keys = (self._keys.reader(reader), self._keys.watch(reader))
        epoch, beats, commits, released = await self._script("watch", keys, (WATCH_SECONDS,))
        return LeaseView(epoch, beats, commits, 0 < epoch == released)

    async def commit(self, commit: Commit) -> None:
        """See :meth:`Transport.commit`."""
        keys, data = self._outputs(commit.outputs)
        named, reader = self._keys, commit.reader
        positions = [part for item in commit.positions.items() for part in item]
        await self._fenced(
            "commit",
            (named.reader(reader), named.positions(reader), named.journal(reader), named.tails, *keys),
            (commit.epoch, commit.number, commit.journal, len(positions), *positions, *data),
            reader,
            commit.epoch,
            commit.number,
        )

    async def save_snapshot(
        self, reader: str, epoch: int, snapshot: StoredSnapshot, positions: Mapping[str, str]
    ) -> None:
        """See :meth:`Transport.save_snapshot`."""
        named, bound = self._keys, _pack([snapshot.number, dict(positions)])
        keys = (named.reader(reader), named.snapshots(reader), named.bounds)
        arguments = (epoch, snapshot.number, snapshot.data, bound, reader)
        await self._fenced("snapshot", keys, arguments, reader, epoch, snapshot.number, apart=True)

    async def trim(self, retention: Mapping[str, int]) -> int:
        """See :meth:`Transport.trim`."""
        named, removed = self._keys, 0
        for stream, keep in sorted(retention.items()):
            chunk = TRIM_CHUNK
            while chunk == TRIM_CHUNK:
                keys = (named.stream(stream), named.trimmed, named.readers, named.bounds)
                chunk = await self._script("trim", keys, (stream, keep, TRIM_CHUNK), apart=True)
                removed += chunk
        for reader, bound in byte_pairs(await self._send(("HGETALL", named.bounds))).items():
            oldest: int = msgspec.msgpack.decode(bound)[0]
            removed += await self._send(("XTRIM", named.journal(reader), "MINID", "=", f"{oldest + 1}-0"))
        return removed

    # -- reading ----------------------------------------------------------------------------------

    async def read(self, positions: Mapping[str, str], count: int, block_ms: int) -> list[Entry]:
        """See :meth:`Transport.read`."""
        if not positions:
            return []
        named = self._keys
        block: tuple[Argument, ...] = ("BLOCK", block_ms) if block_ms else ()
        streams = [named.stream(name) for name in positions]
        # The look at what was trimmed comes after the read, in one piece with it: before it, a trim in between would
        # go unseen, and the entries it took would be skipped without a word.
        replies = await self._pool.converse(
            [
                ("XREAD", "COUNT", count, *block, "STREAMS", *streams, *positions.values()),
                ("HMGET", named.trimmed, *positions),
                ("HMGET", named.log, "stamp", "born"),
            ],
            block_ms / 1000,
        )
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise self._pool.meaning_of(reply)
        check_not_trimmed(positions, replies[1])
        await self._learn(*replies[2])
        return read_entries(replies[0], named.stream_prefix)

    async def read_range(self, stream: str, first: str, last: str, count: int) -> list[Entry]:
        """See :meth:`Transport.read_range`."""
        key = self._keys.stream(stream)
        found = await self._send(("XRANGE", key, first, last, "COUNT", count), apart=True)
        return stream_entries(stream, found)

    async def tails(self, streams: Sequence[str]) -> dict[str, str]:
        """See :meth:`Transport.tails`."""
        if not streams:
            return {}
        found = await self._send(("HMGET", self._keys.tails, *streams))
        return {name: tail.decode() if tail else START for name, tail in zip(streams, found, strict=True)}

    async def positions(self, reader: str) -> dict[str, str]:
        """See :meth:`Transport.positions`."""
        return text_pairs(await self._send(("HGETALL", self._keys.positions(reader))))

    async def quiescence(self, readers: Sequence[str]) -> Quiescence:
        """See :meth:`Transport.quiescence`."""
        named = self._keys
        keys = (named.readers, named.tails, named.log, *(named.positions(reader) for reader in readers))
        waiting, log = await self._script("quiescence", keys, tuple(readers))
        await self._learn(*log)
        return Quiescence(not waiting, sorted(name.decode() for name in waiting))

    async def journal(self, reader: str, after: int, count: int) -> list[tuple[int, bytes]]:
        """See :meth:`Transport.journal`."""
        key = self._keys.journal(reader)
        found = await self._send(("XRANGE", key, f"{after + 1}-0", "+", "COUNT", count), apart=True)
        return [(int(entry_id.partition(b"-")[0]), fields[1]) for entry_id, fields in found]

    async def load_snapshots(self, reader: str) -> list[StoredSnapshot]:
        """See :meth:`Transport.load_snapshots`."""
        held = byte_pairs(await self._send(("HGETALL", self._keys.snapshots(reader)), apart=True))
        numbers = [int(held[which]) for which in ("newer", "older") if which in held]
        return [StoredSnapshot(number, held[f"data:{number}"]) for number in numbers]

    # -- internals --------------------------------------------------------------------------------

    def _outputs(self, outputs: Sequence[Output]) -> tuple[list[str], list[Argument]]:
        """Stream keys, and (name, data) pairs flat."""
        check_sizes(outputs)
        return [self._keys.stream(name) for name, _ in outputs], [part for output in outputs for part in output]

    async def _acquire(self, reader: str, streams: Sequence[str], *seen: int) -> Any:
        keys = (self._keys.reader(reader), self._keys.positions(reader), self._keys.readers)
        found = await self._script("acquire", keys, (reader, _pack(list(streams)), *seen))
        # A host knows what its journal holds before it has read or written anything.
        await self._learn(*await self._send(("HMGET", self._keys.log, "stamp", "born")))
        return found

    async def _fenced(
        self,
        script: str,
        keys: tuple[str, ...],
        arguments: tuple[Argument, ...],
        reader: str,
        epoch: int,
        number: int = 0,
        apart: bool = False,
    ) -> Any:
        """Run a script that refuses an older epoch, and say what its refusal means."""
        try:
            return await self._script(script, keys, arguments, apart)
        except ReplyError as reply:
            raise refusal_of(reply, reader, epoch, number) from None

    async def _send(self, command: Command, apart: bool = False) -> Any:
        """Run one command, on a connection of its own if ``apart``.

        Raises:
            ReplyError: If the answer is an error that is for the caller to understand.
            TransportError: For every other error.
        """
        return self._checked(await self._pool.call(command, apart))

    def _checked(self, reply: Any) -> Any:
        if isinstance(reply, ReplyError):
            if reply.code == "LOST":
                raise log_lost(reply)
            raise reply if reply.code in OWN_CODES else self._pool.meaning_of(reply)
        return reply

    async def _script(
        self, name: str, keys: tuple[str, ...], arguments: tuple[Argument, ...], apart: bool = False
    ) -> Any:
        """Run a script, loading it first on a server that does not have it (restarted, failed over, flushed)."""
        run = partial(self._go_on if name in GO_ON else self._run, load(name).digest, keys, arguments, apart)
        try:
            return await run()
        except ReplyError as reply:
            if reply.code != "NOSCRIPT":
                raise
        await self._send(("SCRIPT", "LOAD", load(name).source))
        return await run()

    async def _run(self, digest: str, keys: tuple[str, ...], arguments: tuple[Argument, ...], apart: bool) -> Any:
        return await self._send(("EVALSHA", digest, len(keys), *keys, *arguments), apart)

    async def _go_on(self, digest: str, keys: tuple[str, ...], arguments: tuple[Argument, ...], apart: bool) -> Any:
        """Run a script behind ``log.lua``, on a connection of which it is known to which server it leads."""
        connection = None if apart else await self._pool.writer()
        server = connection.server if connection else ""
        command = ("EVALSHA", digest, len(keys) + 1, self._keys.log, *keys, server, self._mark, *arguments)
        (reply,) = await (connection.send([command]) if connection else self._pool.converse([command]))
        if connection and isinstance(reply, ReplyError) and reply.code == "READONLY":
            connection.close()  # the next one asks anew who the server is
        done, stamp = self._checked(reply)
        self._know(stamp)
        return done

    async def _learn(self, stamp: bytes | None, born: bytes | None) -> None:
        """Know a stamp that was read; under a new server only if nothing known was lost: reading on would hide it."""
        if 0 < self._mark < int(born or 0):
            check_not_lost(self._mark, await self._send(("HGET", self._keys.log, "gaps")))
        self._know(stamp)

    def _know(self, stamp: bytes | int | None) -> None:
        self._mark = max(self._mark, int(stamp or 0))
