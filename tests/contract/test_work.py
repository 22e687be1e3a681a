"""One suite of cases on every work queue: memory, the system's Redis (7 or newer) and the bundled one (6.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from libs.clock import TestClock
from libs.messagebus import MemoryTransport, RedisTransport
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.messagebus.workers import MemoryWorkQueue, RedisWorkQueue
from libs.testing.bus_contract import BusUnderTest
from libs.testing.work_contract import Case, WorkUnderTest
from libs.testing.work_contract_faults import CASES
from tests.contract.buses import KINDS, empty_bus, server_url


@pytest.fixture(scope="module", params=KINDS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A module shares a server; each test has a key prefix of its own."""
    with server_url(request.param) as found:
        yield found


def on_memory(bus: BusUnderTest) -> WorkUnderTest:
    transport, clock = bus.transport, TestClock(start_time_ns=10**18)
    assert isinstance(transport, MemoryTransport)
    queue = MemoryWorkQueue(transport, clock)

    async def grow_old(stream: str, group: str, ms: int) -> None:
        clock.advance_time(ms * 1_000_000)

    async def lapse(stream: str, group: str) -> None:
        clock.advance_time(60_000 * 1_000_000)

    async def erase(stream: str, entry_ids: list[str]) -> None:
        held = transport._streams[stream]
        held.entries = [entry for entry in held.entries if entry.entry_id not in entry_ids]
        held.first += len(entry_ids)

    async def lose_everything() -> None:
        transport._streams.clear()
        transport.groups.groups.clear()

    return WorkUnderTest(
        transport, queue, MemoryWorkQueue(transport, clock), bus.wait_until_blocked, grow_old, lapse, erase,
        lose_everything,
    )  # fmt: skip


def on_redis(bus: BusUnderTest, admin: Connection) -> WorkUnderTest:
    assert isinstance(bus.transport, RedisTransport)
    assert isinstance(bus.other, RedisTransport)
    prefix = bus.transport._keys.prefix

    async def grow_old(stream: str, group: str, ms: int) -> None:
        key = f"{prefix}:stream:{stream}"
        for entry_id, consumer, _, _ in await admin.execute("XPENDING", key, group, "-", "+", 1000):
            await admin.execute("XCLAIM", key, group, consumer, 0, entry_id, "IDLE", ms, "JUSTID")

    async def lapse(stream: str, group: str) -> None:
        await admin.execute("PEXPIRE", f"{prefix}:work:{group}:holder:{stream}", 0)

    async def erase(stream: str, entry_ids: list[str]) -> None:
        await admin.execute("XDEL", f"{prefix}:stream:{stream}", *entry_ids)

    async def lose_everything() -> None:
        # All but the note that lets the transport see that the log went backward, and refuse to write on from it.
        for key in await admin.execute("KEYS", prefix.replace("{", "\\{") + "*"):
            if not key.endswith(b":log"):
                await admin.execute("DEL", key)

    return WorkUnderTest(
        bus.transport, RedisWorkQueue(bus.transport), RedisWorkQueue(bus.other), bus.wait_until_blocked, grow_old,
        lapse, erase, lose_everything,
    )  # fmt: skip


@asynccontextmanager
async def empty_work(url: str) -> AsyncIterator[WorkUnderTest]:
    async with empty_bus(url) as bus:
        if not url:
            yield on_memory(bus)
            return
        admin = await Connection.open(RedisAddress.parse(url))
        try:
            yield on_redis(bus, admin)
        finally:
            admin.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_work_queue(case: Case, url: str) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), empty_work(url) as work:
            await case(work)

    asyncio.run(run())
