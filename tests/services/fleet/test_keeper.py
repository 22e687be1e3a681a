"""The embedded fleet's own Redis is killed: it comes back, and the engines go on as if nothing had been."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from libs.contracts.topics import CODEC
from libs.messagebus.redis.binary import EmbeddedRedisUnavailable
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import START
from libs.testing.servers import redis_server
from services.fleet.keeper import RedisKeeper
from tests.libs.engine.echo_engine import trade
from tests.libs.engine.hosting import make_host, put, stopped


def test_a_killed_server_is_started_again_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    async def main(url: str, keeper: RedisKeeper, pid: int) -> list[float]:
        transport = RedisTransport(url)
        host = make_host(transport)
        running, keeping = asyncio.create_task(host.run()), asyncio.create_task(keeper.run())
        await put(transport, trade(1), trade(2), sequence=0)
        async with asyncio.timeout(20):
            while host.committer.commits < 2:
                await asyncio.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            while server.pid in (0, pid):
                await asyncio.sleep(0.01)
            await put(transport, trade(3), trade(4), sequence=2)
            while not (await transport.quiescence(["echo"])).quiet:
                await asyncio.sleep(0.01)
            keeping.cancel()
            await stopped(host, running)
        entries = await transport.read({"strategy:high": START}, 100, 0)
        await transport.close()
        return [event.strength for entry in entries for event in CODEC.decode(entry.data).events]

    with redis_server(directory=tmp_path, appendonly=True) as server, capture_logs() as logs:
        port = server.port
        assert asyncio.run(main(server.url, RedisKeeper(server), server.pid)) == [0.0, 2.0, 4.0]
        assert server.port == port
        assert not server.has_ended
    told = [entry["event"] for entry in logs if entry["event"].startswith("redis_")]
    assert told == ["redis_ended", "redis_started_again"]


def test_a_server_that_cannot_come_back_ends_the_keeper_with_the_reason(tmp_path: Path) -> None:
    with redis_server(directory=tmp_path, appendonly=True) as server, capture_logs():
        os.kill(server.pid, signal.SIGKILL)
        server._process.wait()  # type: ignore[union-attr]
        broken = tmp_path / "appendonlydir"
        manifest = next(iter(broken.glob("*.manifest")), None) if broken.is_dir() else tmp_path / "appendonly.aof"
        assert manifest is not None
        manifest.write_text("not what a server wrote\n")
        with pytest.raises(EmbeddedRedisUnavailable, match="must start, was ended by"):
            asyncio.run(RedisKeeper(server).run())
