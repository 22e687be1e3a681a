"""Running the bridge in a test: real backtests into a private server, our events out of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import pytest

from libs.bridges.nautilus_trader.inbound import NodeStreams
from libs.bridges.nautilus_trader.translator import KINDS, Translator
from libs.contracts.topics import CODEC, REGISTRY
from libs.messagebus import RedisTransport
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.pool import ConnectionPool
from libs.messagebus.relay import Relay
from libs.messagebus.topic import Event
from libs.messagebus.transport import START

E = TypeVar("E", bound=Event)
HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    if find_spec("nautilus_trader") is None:
        pytest.skip("nautilus_trader is not installed")
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told_by(process: subprocess.Popen[str], patience_s: float = 300) -> Any:
    said, complained = process.communicate(timeout=patience_s)
    assert process.returncode == 0, complained[-2000:]
    return json.loads(said.splitlines()[-1])


async def at_once(_: float) -> None:
    await asyncio.sleep(0.01)


async def bridged(
    source: str,
    target: str,
    done: Callable[[list[tuple[str, Event]]], bool],
    prefix: str = "{nautilus}",
    **options: Any,
) -> NodeStreams:
    """Run a bridge until what it wrote satisfies ``done``."""
    pool = ConnectionPool(RedisAddress.parse(source))
    translator = Translator(options.pop("kinds", KINDS))
    streams = NodeStreams(pool, translator, pattern="trader-*", **options)
    relay = Relay("bridge:test", streams, lambda: RedisTransport(target, prefix), snapshot_every=3, sleep=at_once)
    running = asyncio.ensure_future(relay.run())
    try:
        await eventually(target, prefix, done, running)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()
    return streams


async def eventually(
    url: str, prefix: str, done: Callable[[list[tuple[str, Event]]], bool], running: asyncio.Future[Any] | None = None
) -> list[tuple[str, Event]]:
    transport = RedisTransport(url, prefix)
    try:
        async with asyncio.timeout(120):
            while not done(found := await everything(transport)):
                if running is not None and running.done():
                    running.result()
                await asyncio.sleep(0.05)
        return found
    finally:
        await transport.close()


async def everything(transport: RedisTransport) -> list[tuple[str, Event]]:
    """All events of all streams with their ids."""
    found: list[tuple[str, Event]] = []
    for stream in REGISTRY.streams():
        position = START
        while entries := await transport.read({stream: position}, 500, 0):
            for entry in entries:
                batch = CODEC.decode(entry.data)
                found += [(batch.event_id(i), event) for i, event in enumerate(batch.events)]
            position = entries[-1].entry_id
    return found


def of(found: list[tuple[str, Event]], kind: type[E]) -> list[E]:
    return [event for _, event in found if type(event) is kind]


def use(scenario: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await scenario()

    return asyncio.run(main())
