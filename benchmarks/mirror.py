"""The mirror between two fleets: events a second from one Redis server into another, and from append to arrival.

Quotes lie in the source in entries of 1, 64 and 512 events; timed is how long the bridge takes to have all of them
committed in the target. Then single events go through one after another: from the call that appends one in the source
until a reader of the target holds it. Servers, bridge, producer and reader share the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator

from benchmarks.table import Summary, Table, options, summarise
from libs.contracts.market import QuoteReceived
from libs.contracts.topics import CODEC, QUOTE
from libs.messagebus import RecordBatch, RedisTransport
from libs.messagebus.mirror import Mirror
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.relay import Relay
from libs.messagebus.transport import START, Output
from libs.testing.servers import redis_server

SIZES = (1, 64, 512)


async def append(transport: RedisTransport, first: int, count: int) -> None:
    events = [QuoteReceived(first + i, "AAPL.XNAS", 187.5, 187.6, 100.0, 200.0, "bench") for i in range(count)]
    data = CODEC.encode(RecordBatch("bench", first, 1, events))
    await transport.append("bench", first, count, [Output(QUOTE.stream, data)])


@contextlib.asynccontextmanager
async def mirroring(source: RedisTransport, target: EmbeddedRedis, prefix: str) -> AsyncIterator[Mirror]:
    mirror = Mirror(source, [QUOTE], "east")
    running = asyncio.ensure_future(Relay("mirror:east", mirror, lambda: RedisTransport(target.url, prefix)).run())
    yield mirror
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def rate(servers: tuple[EmbeddedRedis, EmbeddedRedis], size: int, total: int, number: int) -> float:
    prefix = f"{{bench{size}-{number}}}"
    source, target = RedisTransport(servers[0].url, prefix), RedisTransport(servers[1].url, prefix)
    for first in range(0, total, size):
        await append(source, first, size)
    last = (await source.tails([QUOTE.stream]))[QUOTE.stream]
    started = time.perf_counter_ns()
    async with mirroring(source, servers[1], prefix):
        while (await target.positions("mirror:east")).get(QUOTE.stream) != last:  # noqa: ASYNC110 - the server tells
            await asyncio.sleep(0.001)
        seconds = (time.perf_counter_ns() - started) / 1e9
    await source.close()
    await target.close()
    return total / seconds


async def delays(servers: tuple[EmbeddedRedis, EmbeddedRedis], count: int) -> list[int]:
    source, target = (RedisTransport(server.url, "{delays}") for server in servers)
    found, position = [], START
    async with mirroring(source, servers[1], "{delays}"):
        for number in range(count):
            started = time.perf_counter_ns()
            await append(source, number, 1)
            while not (entries := await target.read({QUOTE.stream: position}, 1, 1000)):
                pass
            found.append(time.perf_counter_ns() - started)
            position = entries[-1].entry_id
            await asyncio.sleep(0.005)
    await source.close()
    await target.close()
    return found[1:]  # the first waits for the bridge to begin


def main() -> int:
    chosen = options(__doc__)
    rounds, scale = (1, 10) if chosen.quick else (5, 1)
    table = Table("mirror between two servers", peer="")
    with redis_server() as source, redis_server() as target:
        for size in SIZES:
            total = size * (400 if size > 1 else 20_000) * 2 // scale
            runs = [asyncio.run(rate((source, target), size, total, number)) for number in range(rounds)]
            spread = Summary(statistics.median(runs), len(runs), min(runs), max(runs))
            table.add(f"{size} events an entry", spread, "events/s", peer=None, better="higher")
        table.add(
            "append to arrival", summarise(asyncio.run(delays((source, target), 1000 // scale)), 1e-6), "ms", peer=None
        )
    return table.finish(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
