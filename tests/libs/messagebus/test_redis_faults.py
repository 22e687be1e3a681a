"""Real faults on real servers: crashes, failovers, full memory, flushed scripts. Nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest

from libs.clock import LiveClock
from libs.messagebus import MessageBusError, Publisher, RedisTransport, TransportError, TransportRefusedError
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.messagebus.redis.replies import ReplyError, meaning_of
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.transport import START, Commit, Output, StoredSnapshot
from libs.testing.bus_topics import CODEC, REGISTRY, TICKED, Ticked
from libs.testing.servers import redis_server

VERSIONS: tuple[Literal["system", "bundled"], ...] = ("system", "bundled")


def run(scenario: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(main())


@asynccontextmanager
async def clients(server: EmbeddedRedis) -> AsyncIterator[tuple[RedisTransport, Connection]]:
    transport = RedisTransport(server.url)
    admin = await Connection.open(RedisAddress.parse(server.url))
    try:
        yield transport, admin
    finally:
        await transport.close()
        admin.close()
        await asyncio.sleep(0)


async def soon(_: float) -> None:
    await asyncio.sleep(0.01)


@pytest.mark.faults
@pytest.mark.parametrize("version", VERSIONS)
def test_a_publisher_outlives_crashes_of_the_server(version: Literal["system", "bundled"]) -> None:
    async def scenario() -> None:
        transport = RedisTransport(server.url)
        publisher = Publisher(transport, CODEC, REGISTRY, "p", LiveClock(), max_batch=7, max_buffer=50, sleep=soon)
        restart = asyncio.create_task(asyncio.sleep(0))
        for number in range(3000):
            await publisher.publish_wait(Ticked(number, "X", float(number)))
            if number % 900 == 500:
                await restart
                await asyncio.to_thread(server.kill)  # with writes in flight; the next are refused until it is back
                restart = asyncio.create_task(asyncio.to_thread(server.start))
        await publisher.close()
        await restart
        assert publisher.statistics().retries > 0
        seen, position = [], START
        while entries := await transport.read({TICKED.stream: position}, 500, 0):
            seen += [event.price for entry in entries for event in CODEC.decode(entry.data).events]
            position = entries[-1].entry_id
        assert seen == list(range(3000))
        await transport.close()

    with redis_server(version, appendonly=True) as server:
        run(scenario)


@pytest.mark.faults
def test_commits_outlive_crashes_of_the_server() -> None:
    async def scenario() -> None:
        transport = RedisTransport(server.url)
        lease = await transport.acquire("r", ["in"])
        for number in range(1, 301):
            commit = Commit("r", lease.epoch, number, {"in": f"{number}-0"}, [Output("out", b"%d" % number)], b"j")
            if number % 100 == 50:
                server.kill()
                with pytest.raises(TransportError):
                    await transport.commit(commit)
                server.start()
            await transport.commit(commit)
            await transport.commit(commit)  # as after a lost reply
        out = await transport.read({"out": START}, 1000, 0)
        assert [entry.data for entry in out] == [b"%d" % number for number in range(1, 301)]
        assert [number for number, _ in await transport.journal("r", 0, 1000)] == list(range(1, 301))
        assert (await transport.acquire("r", ["in"])).commits == 300
        await transport.close()

    with redis_server(appendonly=True) as server:
        run(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_full_memory_refuses_whole_steps_and_says_what_to_do(version: Literal["system", "bundled"]) -> None:
    async def scenario() -> None:
        async with clients(server) as (transport, admin):
            lease = await transport.acquire("r", ["in"])
            await transport.commit(Commit("r", lease.epoch, 1, {"in": "1-0"}, [Output("out", b"1")], b"j"))
            await admin.execute("CONFIG", "SET", "maxmemory", "1")
            commit = Commit("r", lease.epoch, 2, {"in": "2-0"}, [Output("out", b"2"), Output("more", b"2")], b"j")
            image = StoredSnapshot(1, b"s")
            for write in (
                lambda: transport.commit(commit),
                lambda: transport.append("p", 0, 1, [Output("out", b"3")]),
                lambda: transport.save_snapshot("r", lease.epoch, image, {}),
            ):
                with pytest.raises(TransportError, match="OOM: the server's memory is full; raise maxmemory") as raised:
                    await write()
                assert raised.value.retriable
            assert [entry.data for entry in await transport.read({"out": START, "more": START}, 9, 0)] == [b"1"]
            assert await transport.positions("r") == {"in": "1-0"}
            assert len(await transport.journal("r", 0, 9)) == 1
            await admin.execute("CONFIG", "SET", "maxmemory", "0")
            await transport.commit(commit)
            assert await transport.append("p", 0, 1, [Output("out", b"3")])
            assert [entry.data for entry in await transport.read({"out": START}, 9, 0)] == [b"1", b"2", b"3"]

    with redis_server(version) as server:
        run(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_failover_is_told_as_such(version: Literal["system", "bundled"]) -> None:
    async def scenario() -> None:
        async with clients(server) as (transport, admin):
            await transport.append("p", 0, 1, [Output("s", b"1")])
            await admin.execute("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(TransportError, match="READONLY: this server became a replica") as raised:
                await transport.append("p", 1, 1, [Output("s", b"2")])
            assert raised.value.retriable
            await admin.execute("REPLICAOF", "NO", "ONE")
            assert await transport.append("p", 1, 1, [Output("s", b"2")])

    with redis_server(version) as server:
        run(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_scripts_are_loaded_again_after_a_flush(version: Literal["system", "bundled"]) -> None:
    async def scenario() -> None:
        async with clients(server) as (transport, admin):
            for number in range(3):
                assert await transport.append("p", number, 1, [Output("s", b"x")])
                await admin.execute("SCRIPT", "FLUSH")
            appends = [transport.append(f"q{i}", 0, 1, [Output("s", b"x")]) for i in range(20)]
            assert await asyncio.gather(*appends) == [True] * 20
            assert len(await transport.read({"s": START}, 99, 0)) == 23

    with redis_server(version) as server:
        run(scenario)


def test_a_server_that_evicts_is_refused() -> None:
    async def scenario() -> None:
        async with clients(server) as (transport, admin):
            await admin.execute("CONFIG", "SET", "maxmemory", "100mb")
            await transport.connect()
            await admin.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            with pytest.raises(TransportRefusedError, match="must be noeviction, was allkeys-lru, which deletes"):
                await transport.connect()

    with redis_server() as server:
        run(scenario)


def test_a_producer_is_forgotten_only_after_a_week() -> None:
    async def scenario() -> None:
        async with clients(server) as (transport, admin):
            await transport.append("p", 0, 1, [Output("s", b"x")])
            remaining = await admin.execute("TTL", "{nautilus}:producer:p")
            assert 7 * 86_400 - 60 <= remaining <= 7 * 86_400

    with redis_server() as server:
        run(scenario)


@pytest.mark.parametrize(
    ("reply", "retriable", "text"),
    [
        ("LOADING Redis is loading the dataset in memory", True, "LOADING: the server reads its data"),
        ("MASTERDOWN Link with MASTER is down", True, "MASTERDOWN"),
        ("MISCONF Errors writing to the AOF file: No space left on device", True, "free space or repair it"),
        ("BUSY Redis is busy running a script", True, "SCRIPT KILL"),
        ("CLUSTERDOWN The cluster is down", True, "CLUSTERDOWN"),
        ("ERR max number of clients reached", True, "raise maxclients"),
        ("OOM command not allowed when used memory > 'maxmemory'. script: ab, on @user_script:9.", True, "OOM"),
        ("ERR Error running script (call to f_1): @user_script:9: @user_script: 9: -OOM command not", True, "OOM"),
        ("MOVED 3999 10.0.0.7:6381", False, "lives on another node|keys live on another node"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False, "use another prefix"),
        ("DENIED Redis is running in protected mode", False, "protected mode"),
        ("ERR something new", False, "was 'ERR something new'"),
    ],
)
def test_error_replies_have_a_meaning_and_a_remedy(reply: str, retriable: bool, text: str) -> None:
    error = meaning_of(ReplyError(reply), "redis://example:6379/0")
    assert isinstance(error, MessageBusError)
    assert error.retriable is retriable
    with pytest.raises(MessageBusError, match=text):
        raise error
