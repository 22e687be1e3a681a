"""Connections against real servers: login, silence, lost connections, refusals."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from libs.messagebus import RedisTransport, TransportError, TransportRefusedError
from libs.messagebus.redis import connection as connection_module
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.messagebus.redis.locks import free_port
from libs.messagebus.redis.replies import ReplyError
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.transport import START, Output
from libs.testing.servers import redis_server
from tests.libs.messagebus.servers_in_use import run, use

PASSWORD = "p@ss w#rd/ü\n\"'\\"
WRONG = "wr0ng-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    with redis_server() as running:
        yield running


@pytest.mark.parametrize("version", ["system", "bundled"])
def test_login_with_password_user_and_database(version: Any) -> None:
    with redis_server(version, password=PASSWORD) as server:
        run(lambda: use(server.url))
        for wrong_url in (
            f"redis://127.0.0.1:{server.port}",
            f"redis://:{WRONG}@127.0.0.1:{server.port}",
            f"redis://somebody:{WRONG}@127.0.0.1:{server.port}",
        ):
            with pytest.raises(TransportRefusedError, match=r"was (NOAUTH|WRONGPASS)") as raised:
                run(lambda url=wrong_url: use(url))
            assert WRONG not in str(raised.value)
            assert not raised.value.retriable

        async def as_user() -> None:
            admin = await Connection.open(RedisAddress.parse(server.url))
            await admin.execute("ACL", "SETUSER", "bus", "on", ">pw", "~{nautilus}:*", "+@all", "-@dangerous", "+info")
            admin.close()
            await use(f"redis://bus:pw@127.0.0.1:{server.port}/5")
            foreign = RedisTransport(f"redis://bus:pw@127.0.0.1:{server.port}/5", prefix="{other}")
            with pytest.raises(TransportRefusedError, match="NOPERM: the user lacks a permission"):
                await foreign.tails(["s"])
            await foreign.close()

        run(as_user)


def test_password_for_a_server_without_one_is_refused_without_showing_it(server: EmbeddedRedis) -> None:
    with pytest.raises(TransportRefusedError, match="take user and password out of the URL") as raised:
        run(lambda: use(f"redis://:{WRONG}@127.0.0.1:{server.port}"))
    assert WRONG not in str(raised.value)
    assert raised.value.__cause__ is None


def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(TransportError, match=r"must be reachable, was not: .*; start it or correct the URL") as raised:
        run(lambda: use(f"redis://:{WRONG}@127.0.0.1:{free_port()}"))
    assert WRONG not in str(raised.value)
    assert raised.value.retriable
    with pytest.raises(TransportError, match=r"unix:///nowhere/redis\.sock"):
        run(lambda: use("unix:///nowhere/redis.sock"))


@asynccontextmanager
async def stranger(greeting: bytes) -> AsyncIterator[str]:
    """URL of a server that says its greeting and then nothing."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        gone.set()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    await gone.wait()
    listener.close()
    await listener.wait_closed()


def test_a_server_that_never_answers_times_out() -> None:
    async def scenario() -> None:
        async with stranger(b"") as url:
            transport = RedisTransport(url, connect_timeout_s=0.05)
            with pytest.raises(TransportError, match=r"must answer within 0\.05 s, was silent"):
                await transport.connect()
            await transport.close()

    run(scenario)


def test_something_that_is_no_redis_is_named() -> None:
    async def scenario() -> None:
        async with stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
            with pytest.raises(TransportError, match="does not speak RESP"):
                await RedisTransport(url).connect()

    run(scenario)


def test_a_stopped_process_counts_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "REPLY_TIMEOUT_S", 0.1)

    async def scenario(server: EmbeddedRedis) -> None:
        transport = RedisTransport(server.url)
        await transport.connect()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(TransportError, match="did not answer in time"):
                await transport.append("p", 0, 1, [Output("s", b"x")])
            with pytest.raises(TransportError):
                await transport.read({"s": START}, 1, 10)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await transport.append("p", 0, 1, [Output("s", b"x")])
        assert len(await transport.read({"s": START}, 9, 0)) == 1
        await transport.close()

    with redis_server() as server:
        run(lambda: scenario(server))


def test_lost_connections_fail_what_is_outstanding_and_the_next_call_connects(server: EmbeddedRedis) -> None:
    async def scenario() -> None:
        transport = RedisTransport(server.url)
        await transport.connect()
        admin = await Connection.open(RedisAddress.parse(server.url))
        reading = asyncio.create_task(transport.read({"lost": START}, 1, 10_000))
        while "blocked_clients:1" not in (await admin.execute("INFO", "clients")).decode():
            pass
        await admin.execute("CLIENT", "KILL", "SKIPME", "yes")
        with pytest.raises(TransportError, match="the call may be repeated"):
            await reading
        await transport.append("lost", 0, 1, [Output("lost", b"x")])
        assert len(await transport.read({"lost": START}, 1, 0)) == 1
        await transport.close()
        admin.close()

    run(scenario)


def test_concurrent_first_calls_share_one_connection(server: EmbeddedRedis) -> None:
    async def scenario() -> None:
        transport = RedisTransport(server.url)
        admin = await Connection.open(RedisAddress.parse(server.url))
        before = (await admin.execute("INFO", "stats")).decode()
        first = asyncio.create_task(transport.ping())
        others = [asyncio.create_task(transport.ping()) for _ in range(20)]
        await asyncio.sleep(0)
        first.cancel()  # must not take the others' connection attempt with it
        await asyncio.gather(*others)
        after = (await admin.execute("INFO", "stats")).decode()

        def connections(stats: str) -> int:
            return int(stats.split("total_connections_received:")[1].split()[0])

        assert connections(after) - connections(before) == 1
        await transport.close()
        admin.close()

    run(scenario)


def test_replies_of_a_cancelled_caller_do_not_reach_the_next_one(server: EmbeddedRedis) -> None:
    async def scenario() -> None:
        connection = await Connection.open(RedisAddress.parse(server.url))
        first = asyncio.ensure_future(connection.execute("ECHO", "first"))
        await asyncio.sleep(0)
        first.cancel()
        assert await connection.execute("ECHO", "second") == b"second"
        assert await connection.send([("ECHO", "a"), ("ECHO", 1), ("ECHO", b"\xff")]) == [b"a", b"1", b"\xff"]
        with pytest.raises(ReplyError, match="unknown command"):
            await connection.execute("NONSENSE")
        connection.close()
        with pytest.raises(TransportError):
            await connection.execute("PING")

    run(scenario)
