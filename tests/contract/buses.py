"""The buses the contract runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Final, Literal

import pytest

from libs.messagebus import MemoryTransport, RedisTransport
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.testing.bus_contract import BusUnderTest
from libs.testing.servers import ServerUnavailable, redis_server

Kind = Literal["memory", "system", "bundled"]
KINDS: Final[tuple[Kind, ...]] = ("memory", "system", "bundled")

_prefixes = count()


@contextmanager
def server_url(kind: Kind) -> Iterator[str]:
    """URL of a server, ``""`` for memory; skips the test where the machine does not have it."""
    if kind == "memory":
        yield ""
        return
    try:
        with redis_server(kind) as server:
            yield server.url
    except ServerUnavailable as error:
        pytest.skip(str(error))


@asynccontextmanager
async def empty_bus(url: str) -> AsyncIterator[BusUnderTest]:
    if not url:
        memory = MemoryTransport()
        await memory.connect()

        async def let_readers_run(_: int) -> None:
            for _ in range(3):  # a task needs one turn to start and one to reach its wait
                await asyncio.sleep(0)

        yield BusUnderTest(memory, memory, let_readers_run)
        return

    watcher = await Connection.open(RedisAddress.parse(url))

    async def blocked_clients(expected: int) -> None:
        while f"blocked_clients:{expected}" not in (await watcher.execute("INFO", "clients")).decode():
            pass

    prefix = f"{{contract{next(_prefixes)}}}"
    transports = RedisTransport(url, prefix), RedisTransport(url, prefix)
    try:
        for transport in transports:
            await transport.connect()
        yield BusUnderTest(*transports, blocked_clients)
    finally:
        for transport in transports:
            await transport.close()
        watcher.close()
        await asyncio.sleep(0)
