"""``nautilus mirror`` between two real servers: the bridge and both servers are killed, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.clock import LiveClock
from libs.contracts.market import QuoteReceived, TradeReceived
from libs.contracts.topics import CODEC, QUOTE, REGISTRY
from libs.messagebus import Publisher, RedisTransport, TransportError
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.transport import START
from libs.testing.servers import redis_server

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
COUNT = 4000


class Bridges:
    """Bridge processes of one test; none outlives it."""

    def __init__(self, source: EmbeddedRedis, target: EmbeddedRedis) -> None:
        self.environment = os.environ | {"MIRROR_FROM": source.url, "MIRROR_TO": target.url}
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "services.fleet", "mirror", "--topics", "marketdata.quote", "--cell", "east"]
        self.started.append(subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=subprocess.DEVNULL))
        return self.started[-1]

    def __enter__(self) -> Bridges:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            process.kill()
            process.wait()


async def quotes_in(transport: RedisTransport) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    position = START
    while entries := await transport.read({QUOTE.stream: position}, 500, 0):
        for entry in entries:
            batch = CODEC.decode(entry.data)
            found += [
                (batch.event_id(i), event.bid) for i, event in enumerate(batch.events) if type(event) is QuoteReceived
            ]
        position = entries[-1].entry_id
    return found


async def eventually(transport: RedisTransport, condition: Callable[[list[tuple[str, float]]], bool]) -> list[Any]:
    async with asyncio.timeout(120):
        while True:
            try:
                if condition(found := await quotes_in(transport)):
                    return found
            except TransportError:
                pass
            await asyncio.sleep(0.05)


def test_nothing_is_lost_or_doubled_whoever_is_killed() -> None:
    async def soon(_: float) -> None:
        await asyncio.sleep(0.02)

    async def scenario() -> None:
        here, there = RedisTransport(source.url), RedisTransport(target.url)
        publisher = Publisher(here, CODEC, REGISTRY, "feed-1", LiveClock(), max_batch=9, sleep=soon)

        async def publish(first: int, last: int) -> None:
            for number in range(first, last):
                await publisher.publish_wait(QuoteReceived(number, "A.B", float(number), float(number), 1, 1, "t"))
                if not number % 3:  # neighbours that are not mirrored
                    await publisher.publish_wait(TradeReceived(number, "A.B", 1.0, 1.0, "buy", "t"))

        bridge = bridges.start()
        feeding = asyncio.create_task(publish(0, COUNT))
        for bound in (300, 900):
            await eventually(there, lambda found, bound=bound: len(found) > bound)  # type: ignore[misc]
            bridge.kill()
            bridge.wait()
            bridge = bridges.start()
        for server in (source, target):
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await feeding
        found = await eventually(there, lambda found: len(found) >= COUNT)
        assert [bid for _, bid in found] == list(range(COUNT))
        assert [event_id for event_id, _ in found] == [f"east/{event_id}" for event_id, _ in await quotes_in(here)]

        rival, count = bridges.start(), COUNT  # takes over; the first may not write beside it
        while bridge.poll() is None:
            await publish(count, count + 1)
            count += 1
            await asyncio.sleep(0.02)
        assert bridge.returncode == 1
        await publisher.close()
        found = await eventually(there, lambda found: len(found) >= count)
        assert [bid for _, bid in found] == list(range(count))
        rival.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(rival.wait, 60) == 0
        for transport in (here, there):
            await transport.close()

    with (
        redis_server(appendonly=True) as source,
        redis_server(appendonly=True) as target,
        Bridges(source, target) as bridges,
    ):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--topics", "marketdata.quotes"], "was 'marketdata.quotes'; did you mean marketdata.quote"),
        (["--topics", ""], "at least one, was none"),
        (["--topics", "*", "--cell", "East"], "was 'East'"),
        (["--topics", "*", "--to", "redis://127.0.0.1:1"], "two fleets, was the same server and prefix"),
        (["--topics", "*", "--from", "http://:secret@x"], "must start with redis://"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments: list[str], sentence: str) -> None:
    urls = {"--from": "redis://127.0.0.1:1", "--to": "redis://127.0.0.1:2"}
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    command = [sys.executable, "-m", "services.fleet", "mirror"]
    command += [part for item in (urls | given).items() for part in item]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr
