"""One suite of cases on every transport: memory, the system's Redis (7 or newer) and the bundled one (6.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Literal, cast

import pytest

from libs.messagebus import MemoryTransport, RedisTransport
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.testing.bus_contract import BusUnderTest, Case
from libs.testing.bus_contract_readers import CASES
from libs.testing.servers import ServerUnavailable, redis_server

_prefixes = count()


@pytest.fixture(scope="module", params=["memory", "system", "bundled"])
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a server, ``""`` for memory; a module shares it, a test has a key prefix of its own."""
    if request.param == "memory":
        yield ""
        return
    try:
        with redis_server(cast(Literal["system", "bundled"], request.param)) as server:
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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_transport(case: Case, server_url: str) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), empty_bus(server_url) as bus:
            await case(bus)

    asyncio.run(run())
