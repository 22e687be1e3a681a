"""Snapshots and recovery on real servers: torn, damaged, trimmed, and a long journal read ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from libs.engine.errors import SnapshotError
from libs.engine.host import Host
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import Transport
from tests.contract.buses import Kind, empty_bus, server_url
from tests.libs.engine.echo_engine import trade
from tests.libs.engine.hosting import killed, make_host, put, until_quiet

pytestmark = pytest.mark.parametrize("kind", ["system", "bundled"])
Scenario = Callable[[RedisTransport, bytes], Awaitable[None]]


def after_a_kill(kind: Kind, scenario: Scenario, trades: int = 6, snapshots: tuple[int, ...] = (1, 3)) -> None:
    """A commit a trade, snapshots behind some of them, then a kill; hands over the state the dead host had."""

    async def main(url: str) -> None:
        async with empty_bus(url) as bus:
            transport: Any = bus.transport
            running = asyncio.create_task((host := make_host(transport)).run())
            for index in range(trades):
                await put(transport, trade(index), sequence=index)
                if index in snapshots or index + 1 == trades:
                    await until_quiet(transport)
                if index in snapshots:
                    await host.snapshot_now()
            state = host.core.encode_state()
            await killed(running)
            await scenario(transport, state)

    with server_url(kind) as url:
        asyncio.run(main(url))


async def recovered(transport: Transport) -> Host:
    host = make_host(transport)
    running = asyncio.create_task(host.run())
    while host.state == "starting" and not running.done():
        await asyncio.sleep(0.001)
    if host.state == "failed":
        await running
    await killed(running)
    return host


async def damage(transport: RedisTransport, which: str) -> None:
    """Tear the newer or the older snapshot."""
    key = transport._keys.snapshots("echo")
    number = (await transport._send(("HGET", key, which))).decode()
    data = await transport._send(("HGET", key, f"data:{number}"))
    await transport._send(("HSET", key, f"data:{number}", data[: len(data) // 2]))


def test_the_older_snapshot_is_used_and_the_whole_journal_without_any(kind: Kind) -> None:
    async def scenario(transport: RedisTransport, state: bytes) -> None:
        newest = (await recovered(transport)).replayed
        await damage(transport, "newer")
        host = await recovered(transport)
        assert host.core.encode_state() == state
        older = host.replayed
        await damage(transport, "older")
        host = await recovered(transport)
        assert host.core.encode_state() == state
        assert 0 < newest < older < host.replayed == host.committer.commits

    after_a_kill(kind, scenario)


def test_one_damaged_snapshot_alone_is_made_up_for_by_the_journal_trimmed_or_not(kind: Kind) -> None:
    async def scenario(transport: RedisTransport, state: bytes) -> None:
        await transport.trim({"market:normal": 0})  # nothing goes: it is the only snapshot
        await damage(transport, "newer")
        assert (await recovered(transport)).core.encode_state() == state

    after_a_kill(kind, scenario, snapshots=(2,))


def test_damaged_snapshots_are_refused_once_the_journal_was_trimmed(kind: Kind) -> None:
    async def scenario(transport: RedisTransport, state: bytes) -> None:
        await transport.trim({})
        await damage(transport, "newer")
        assert (await recovered(transport)).core.encode_state() == state
        await damage(transport, "older")
        with pytest.raises(
            SnapshotError, match=r"is damaged.*; snapshot .* is damaged.*must then begin at commit 1, was"
        ):
            await recovered(transport)

    after_a_kill(kind, scenario)


def test_a_long_journal_is_replayed_to_the_same_state(kind: Kind) -> None:
    async def scenario(transport: RedisTransport, state: bytes) -> None:
        host = await recovered(transport)
        assert host.core.encode_state() == state
        assert host.replayed == host.committer.commits > 1

    after_a_kill(kind, scenario, trades=2_000, snapshots=())
