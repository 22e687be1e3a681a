"""The servers that tests get."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from libs.messagebus import RedisTransport
from libs.messagebus.redis.locks import DEFAULT_PORT
from libs.testing.servers import ServerUnavailable, postgres_server, provide_redis, redis_binary, redis_server


@pytest.mark.parametrize(("version", "oldest", "newest"), [("system", (7, 0), (99, 0)), ("bundled", (6, 2), (6, 2))])
def test_each_version_is_the_one_asked_for(version: str, oldest: tuple[int, int], newest: tuple[int, int]) -> None:
    assert oldest <= redis_binary(version).version <= newest  # type: ignore[arg-type]
    with redis_server(version) as server:  # type: ignore[arg-type]
        assert server.port != DEFAULT_PORT
        assert server.directory.exists()
    assert not server.directory.exists()


def test_provided_redis_answers() -> None:
    async def look(url: str) -> None:
        transport = RedisTransport(url)
        await transport.connect()
        await transport.close()

    with provide_redis() as url:
        asyncio.run(look(url))


def test_provided_postgres_answers() -> None:
    async def look(url: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            assert await connection.fetchval("SELECT 1") == 1
            assert int(await connection.fetchval("SHOW server_version_num")) >= 160_000
        finally:
            await connection.close()

    with postgres_server() as url:
        asyncio.run(look(url))


def test_a_missing_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServerUnavailable, match="install redis-server 7 or newer"):
        redis_binary("system")
