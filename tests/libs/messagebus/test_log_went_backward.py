"""A server that lost acknowledged writes: who has seen them writes no more, everybody else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest

from libs.clock import LiveClock
from libs.messagebus import Publisher, RedisTransport
from libs.messagebus.errors import PublisherClosedError, StateLostError, TransportError
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.transport import Commit, Output, StoredSnapshot
from libs.testing.append_only import crash_and_lose, log_size
from libs.testing.bus_topics import CODEC, REGISTRY, Ticked
from libs.testing.servers import redis_binary

pytestmark = pytest.mark.faults

Act = Callable[[RedisTransport], Awaitable[Any]]
VERSIONS: tuple[Literal["system", "bundled"], ...] = ("system", "bundled")


@contextmanager
def redis(version: Literal["any", "system", "bundled"] = "any") -> Iterator[EmbeddedRedis]:
    """What is lost here is cut off by hand; under ``everysec`` a write may wait for a busy disk and be lost besides."""
    found = redis_binary(version)
    with TemporaryDirectory(prefix="redis-") as folder, EmbeddedRedis(folder, appendfsync="always", binary=found) as it:
        yield it


@asynccontextmanager
async def client(server: EmbeddedRedis) -> AsyncIterator[RedisTransport]:
    transport = RedisTransport(server.url)
    try:
        yield transport
    finally:
        await transport.close()


async def until_answered(act: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat, as a publisher and a host do, until the server answers; a killed one left connections behind."""
    while True:
        try:
            return await act()
        except TransportError:
            await asyncio.sleep(0.01)


async def put(transport: RedisTransport, producer: str, sequence: int = 0) -> bool:
    output = Output("s", f"{producer}{sequence}".encode())
    return await until_answered(lambda: transport.append(producer, sequence, 1, [output]))


async def commit(transport: RedisTransport) -> None:
    await until_answered(lambda: transport.commit(Commit("r", 1, 1, {}, [Output("out", b"x")], b"j")))


async def snapshot(transport: RedisTransport) -> None:
    await until_answered(lambda: transport.save_snapshot("r", 1, StoredSnapshot(0, b"state"), {}))


async def append(transport: RedisTransport) -> None:
    assert await put(transport, "q")


ACTS: tuple[Act, ...] = (append, commit, snapshot)


async def by_reading(transport: RedisTransport) -> None:
    assert await transport.read({"s": "0-0"}, 9, 0)


async def by_looking(transport: RedisTransport) -> None:
    assert (await transport.quiescence(["r"])).quiet


async def by_taking_the_lease(transport: RedisTransport) -> None:
    await transport.acquire("r", [])


async def by_hearing_that_it_had_landed(transport: RedisTransport) -> None:
    assert not await transport.append("p", 1, 1, [Output("s", b"again")])


async def by_writing(transport: RedisTransport) -> None:
    await put(transport, "own")


LEARNING: tuple[Act, ...] = (
    by_reading,
    by_looking,
    by_writing,
    by_taking_the_lease,
    by_hearing_that_it_had_landed,
)


def run(scenario: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(120):
            await scenario()

    asyncio.run(main())


@pytest.mark.parametrize("learn", LEARNING, ids=lambda learn: learn.__name__)
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_who_has_seen_what_is_lost_writes_no_more(act: Act, learn: Act) -> None:
    """However it learned of it, and also when others have written since: the log is then as long as it was."""

    async def scenario() -> None:
        with redis() as server:
            async with client(server) as knows, client(server) as other:
                await knows.acquire("r", [])
                await put(other, "p", 0)
                kept = log_size(server)
                await put(other, "p", 1)
                await learn(knows)
                assert crash_and_lose(server, kept) > 0
                with pytest.raises(StateLostError, match="went backward"):
                    await act(knows)
                async with client(server) as fresh:
                    for number in range(3):
                        assert await put(fresh, "fresh", number)
                with pytest.raises(StateLostError, match="went backward"):
                    await act(knows)

    run(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_crash_that_loses_nothing_stops_nobody(version: Literal["system", "bundled"]) -> None:
    async def scenario() -> None:
        with redis(version) as server:
            async with client(server) as one, client(server) as two:
                for number in range(5):
                    assert await put(one, "p", number)
                    assert len(await until_answered(lambda: two.read({"s": "0-0"}, 99, 0))) == 2 * number + 1
                    server.kill()
                    server.start()
                    assert await put(two, "q", number) is True
                    assert await put(one, "p", number) is False  # its reply may have been lost
                    await until_answered(lambda: two.read({"t": "0-0"}, 9, 0))

    run(scenario)


@pytest.mark.parametrize("version", VERSIONS)
def test_who_had_not_seen_what_is_lost_goes_on(version: Literal["system", "bundled"]) -> None:
    async def scenario() -> None:
        with redis(version) as server:
            async with client(server) as knows, client(server) as early:
                await put(early, "p", 0)
                kept = log_size(server)
                await put(knows, "q", 0)
                crash_and_lose(server, kept)
                assert await put(early, "p", 1) is True
                with pytest.raises(StateLostError):
                    await put(knows, "q", 1)

    run(scenario)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_an_emptied_server_is_told_from_a_new_one(act: Act) -> None:
    async def scenario() -> None:
        with redis() as server:
            admin = await Connection.open(RedisAddress.parse(server.url))
            async with client(server) as knows, client(server) as fresh:
                await put(knows, "p", 0)
                await admin.execute("FLUSHALL")
                with pytest.raises(StateLostError, match="was empty"):
                    await act(knows)
                assert await put(fresh, "fresh") is True
                with pytest.raises(StateLostError, match="went backward"):
                    await act(knows)
            admin.close()
            await asyncio.sleep(0)

    run(scenario)


def test_a_publisher_says_why_it_ends() -> None:
    async def scenario() -> None:
        with redis() as server:
            async with client(server) as transport:
                publisher = Publisher(transport, CODEC, REGISTRY, "p", LiveClock())
                kept = log_size(server)
                await publisher.publish_confirmed(Ticked(1, "X", 1.0))
                crash_and_lose(server, kept)
                with pytest.raises(PublisherClosedError, match="went backward"):
                    await publisher.publish_confirmed(Ticked(2, "X", 2.0))
                with pytest.raises(PublisherClosedError, match="went backward"):
                    publisher.publish(Ticked(3, "X", 3.0))
                with pytest.raises(StateLostError, match="went backward"):
                    await publisher.close()

    run(scenario)


def test_losses_far_back_are_still_known() -> None:
    """Many changes of server later, each of which lost nothing."""

    async def scenario() -> None:
        with redis() as server:
            async with client(server) as knows:
                kept = log_size(server)
                await put(knows, "p", 0)
                crash_and_lose(server, kept)
                for number in range(6):
                    async with client(server) as fresh:
                        assert await put(fresh, f"fresh{number}")
                    server.kill()
                    server.start()
                with pytest.raises(StateLostError):
                    await put(knows, "p", 1)

    run(scenario)


@pytest.mark.parametrize("look", [by_reading, by_looking, by_taking_the_lease], ids=lambda look: look.__name__)
def test_reading_on_does_not_hide_what_was_lost(look: Act) -> None:
    """Found by simulated failovers: a newer stamp took the place of the lost one, and a ghost's snapshot was stored."""

    async def scenario() -> None:
        with redis() as server:
            async with client(server) as knows, client(server) as other:
                await knows.acquire("r", [])
                await put(other, "p", 0)
                kept = log_size(server)
                await put(other, "p", 1)
                await by_reading(knows)
                assert crash_and_lose(server, kept) > 0
                async with client(server) as fresh:
                    assert await put(fresh, "fresh", 0)
                with pytest.raises(StateLostError, match="went backward"):
                    await until_answered(lambda: look(knows))
                with pytest.raises(StateLostError, match="went backward"):
                    await append(knows)

    run(scenario)
