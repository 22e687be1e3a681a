"""The connections of one transport: one for short writes, shared and pipelined, and one for each concurrent reader."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from libs.messagebus.errors import MessageBusError, TransportError, TransportRefusedError
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.cluster import SlotMovedError, find_owner
from libs.messagebus.redis.connection import CONNECT_TIMEOUT_S, Command, Connection
from libs.messagebus.redis.replies import ReplyError, meaning_of
from libs.messagebus.redis.sentinel import find_primary

OLDEST_VERSION = (6, 2)

#: Replies of a server that is not, or no longer, the one to talk to.
WRONG_SERVER = frozenset({"READONLY", "MOVED", "UNBLOCKED"})


class ConnectionPool:
    """Opens connections when they are needed and again after they were lost; retries nothing itself.

    Why two kinds: a blocked XREAD holds back everything behind it on its connection, and a large reply delays small
    ones. So commits and appends of all hosts of the process share one connection, and a host that reads urgent and
    normal streams at the same time has one for each.
    """

    def __init__(
        self, address: RedisAddress, connect_timeout_s: float = CONNECT_TIMEOUT_S, prefix: str = "{nautilus}"
    ) -> None:
        """Prepare a pool; nothing is connected yet.

        Args:
            address: A server, or nodes that know where it is; they are asked again for every new connection.
            connect_timeout_s: Limit of connecting with login.
            prefix: Beginning of every key, which decides the node of a cluster.
        """
        self.address = address
        self._prefix = prefix
        self._timeout_s = connect_timeout_s
        self._writer: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closed = False

    async def writer(self) -> Connection:
        """The shared connection, opened if need be.

        Raises:
            TransportError: If the pool is closed or the server cannot be reached.
        """
        if self._writer is not None and self._writer.usable and not self._writer.is_replica:
            return self._writer
        self._check_open()
        # Concurrent callers wait for one attempt; shielded, so that one caller's cancellation does not fail the rest.
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._connect())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, attempt: asyncio.Task[Connection]) -> None:
        self._opening = None
        if not attempt.cancelled() and attempt.exception() is None:
            self._writer = attempt.result()

    async def converse(self, commands: Sequence[Command], wait_s: float = 0.0) -> list[Any]:
        """Send commands on a connection of their own; for what blocks and what is large.

        Returns:
            Their replies; error replies as :class:`ReplyError` values.

        Raises:
            TransportError: If the server cannot be reached or the connection is lost.
        """
        self._check_open()
        self._idle = [connection for connection in self._idle if connection.usable]
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            return await connection.send(commands, wait_s)
        finally:
            if connection.idle and connection.usable and not self._closed:
                self._idle.append(connection)
            else:
                # Lost, or the caller was cancelled inside a blocking read: its reply would come to the next caller's
                # cost, up to the whole blocking time later.
                connection.close()

    async def call(self, command: Command, apart: bool = False) -> Any:
        """Send one command, on a connection of its own if ``apart``; follows a slot that has moved, once.

        Returns:
            Its reply, also where that is a :class:`ReplyError`.

        Raises:
            TransportError: If the server cannot be reached or the connection is lost.
        """
        for _ in range(2):
            replies = self.converse([command]) if apart else (await self.writer()).send([command])
            (reply,) = await replies
            moved = isinstance(reply, ReplyError) and isinstance(self.meaning_of(reply), SlotMovedError)
            if not moved:
                break
        return reply

    def meaning_of(self, reply: ReplyError) -> MessageBusError:
        """The error to raise for an error reply; one of the wrong server drops all connections.

        The next call then asks sentinels or cluster anew. After a failover that somebody made by hand, without either,
        it connects to the same server again, which may be the primary by then.
        """
        if reply.code in WRONG_SERVER and self.address.kind != "server":
            self._drop()
            if reply.code == "MOVED":
                return SlotMovedError(f"slot of '{self._prefix}' must be on the node asked, was moved: {reply.detail}")
        return meaning_of(reply, self.address.label)

    async def check_server(self) -> None:
        """Refuse a server that is too old, or that may throw events away when its memory is full.

        Raises:
            TransportRefusedError: With the setting to change.
            TransportError: If the server cannot be reached.
        """
        label = self.address.label
        sections = await self.converse([("INFO", "server"), ("INFO", "memory")])
        for section in sections:
            if isinstance(section, ReplyError):
                raise meaning_of(section, label)
        facts = dict(
            line.split(":", 1) for section in sections for line in section.decode().splitlines() if ":" in line
        )
        version = facts.get("redis_version", "0")
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
            raise TransportRefusedError(f"Redis at {label} must be 6.2 or newer, was {version}; update it")
        policy = facts.get("maxmemory_policy", "noeviction")
        if int(facts.get("maxmemory", "0")) and policy != "noeviction":
            raise TransportRefusedError(
                f"maxmemory-policy of Redis at {label} must be noeviction, was {policy}, which deletes events "
                "nobody has read yet; CONFIG SET maxmemory-policy noeviction"
            )

    async def close(self) -> None:
        """Drop all connections; outstanding calls fail with ``TransportError``."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        self._drop()
        # One turn of the loop, in which aborted sockets are released.
        await asyncio.sleep(0)

    def _check_open(self) -> None:
        if self._closed:
            raise TransportError(f"transport to Redis at {self.address.label} must be open, was closed; make a new one")

    def _drop(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._idle.clear()

    async def _locate(self) -> RedisAddress:
        if self.address.kind == "sentinel":
            return await find_primary(self.address, self._timeout_s)
        if self.address.kind == "cluster":
            return await find_owner(self.address, self._prefix, self._timeout_s)
        return self.address

    async def _connect(self) -> Connection:
        connection = await Connection.open(await self._locate(), self._timeout_s)
        if connection.is_replica and self.address.kind == "sentinel":
            # The sentinels still name the server that gave way; reading there would miss what is written elsewhere.
            connection.close()
            raise TransportError(
                f"Redis at {self.address.label} must have a primary, was in the middle of a failover; wait for its end"
            )
        if self._closed:
            connection.close()
            self._check_open()
        self._open = {other for other in self._open if other.usable} | {connection}
        return connection
