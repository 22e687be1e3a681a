"""An outside client, written from the page alone, publishes to an engine and reads what it made of it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import msgspec
from redis import Redis

from libs.messagebus.redis.transport import RedisTransport
from libs.testing.servers import redis_server
from tests.libs.engine.hosting import make_host, stopped, until_quiet

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "wire-format.md").read_text()


def script() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert set(re.findall(r"^(?:import|from) (\w+)", code, flags=re.MULTILINE)) <= {
        *sys.stdlib_module_names,
        "msgspec",
        "redis",
    }
    return code.replace("block=5_000", "block=1_500")


def test_an_outside_client_publishes_and_reads() -> None:
    async def scenario(url: str) -> str:
        transport = RedisTransport(url)
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        environment = os.environ | {"REDIS_URL": url, "SCRIPTS": str(ROOT / "libs/messagebus/redis")}
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", script(), env=environment, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await client.communicate()
        assert client.returncode == 0
        await until_quiet(transport)
        await stopped(host, running)
        await transport.close()
        return said.decode()

    with redis_server() as server:
        lines = asyncio.run(scenario(server.url)).splitlines()
    assert lines[0] == "appended 1 again 0"
    assert lines[-1].split()[1:] == ["strategy.signal.v1", "echo", "AAPL.XNAS", "buy", "2.0", "even"]


def test_a_plain_xadd_is_read_and_leaves_nobody_behind() -> None:
    trades = [["marketdata.tick.v1", 1, "AAPL.XNAS", 187.5, 100, "buy", "outside"]] * 2

    async def scenario(url: str) -> None:
        transport = RedisTransport(url)
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        with Redis.from_url(url) as client:
            key = "{nautilus}:stream:market:normal"
            client.xadd(key, {"anything": msgspec.msgpack.encode(["hand", 0, 1, trades])})
            client.xadd(key, {"anything": b"no record batch"})
        while host.inputs.dead_letters < 1:  # the second entry, behind the first
            await asyncio.sleep(0.01)
        await until_quiet(transport)
        assert host.inputs.events == 2
        answered = host.committer.answered_ns
        probing = asyncio.create_task(host.committer.probe(["market:normal"]))
        while host.committer.answered_ns == answered:
            await asyncio.sleep(0.01)
        probing.cancel()
        assert host.committer.behind == []
        await stopped(host, running)
        await transport.close()

    with redis_server() as server:
        asyncio.run(scenario(server.url))
