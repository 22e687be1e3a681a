"""Streams that appear, are trimmed, or are written anew while a bridge reads them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from redis import Redis

from libs.bridges.nautilus_trader.errors import EntriesTrimmedError
from libs.bridges.nautilus_trader.inbound import NodeStreams
from libs.bridges.nautilus_trader.translator import Translator
from libs.contracts.market import QuoteReceived
from libs.contracts.system import EventDeadLettered
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.pool import ConnectionPool
from libs.testing.servers import redis_server
from tests.libs.bridges.bridging import bridged, eventually, of

KEY = "trader-T-1:stream"


def write(client: Redis, *numbers: int, key: str = KEY) -> None:
    for number in numbers:
        body = {"type": "QuoteTick", "instrument_id": "A.X", "bid_price": "1", "ask_price": "2"}
        body |= {"bid_size": "1", "ask_size": "1", "ts_event": str(number), "ts_init": str(number)}
        client.xadd(key, {"topic": "data.quotes.X.A", "payload": msgspec.json.encode(body)})


def holds(*numbers: int) -> Any:
    return lambda found: sorted(one.ts_event for one in of(found, QuoteReceived)) == list(numbers)


def test_entries_trimmed_before_they_were_read_stop_the_bridge() -> None:
    async def scenario() -> None:
        write(client, 1, 2, 3)
        await bridged(server.url, server.url, holds(1, 2, 3))
        write(client, 4)
        client.xtrim(KEY, maxlen=1, approximate=False)  # what was read, and nothing else
        await bridged(server.url, server.url, holds(1, 2, 3, 4))
        write(client, 5, 6, 7, 8)
        client.xtrim(KEY, maxlen=1, approximate=False)
        with pytest.raises(EntriesTrimmedError, match="was trimmed of 3 that were not"):
            await bridged(server.url, server.url, holds(1, 2, 3, 4, 8))
        await bridged(server.url, server.url, holds(1, 2, 3, 4, 8), accept_loss=True)
        write(client, 9)
        await bridged(server.url, server.url, holds(1, 2, 3, 4, 8, 9))

    with redis_server() as server, Redis.from_url(server.url) as client:
        asyncio.run(scenario())


def test_a_stream_written_anew_is_read_and_nothing_doubled() -> None:
    async def scenario() -> None:
        write(client, 1, 2, 3)
        await bridged(server.url, server.url, holds(1, 2, 3))
        client.delete(KEY)
        write(client, 4)
        await bridged(server.url, server.url, holds(1, 2, 3, 4))

    with redis_server() as server, Redis.from_url(server.url) as client:
        asyncio.run(scenario())


def test_streams_that_appear_are_read_and_others_are_not() -> None:
    async def scenario() -> None:
        running = asyncio.ensure_future(bridged(server.url, server.url, holds(1, 2, 3)))
        write(client, 1)
        await eventually(server.url, "{nautilus}", holds(1), running)
        write(client, 2, key="trader-T-2:stream:data.quotes.X.A")
        write(client, 99, key="other")
        client.set("trader-T-3:stream", "no stream")
        write(client, 3)
        await running

    with redis_server() as server, Redis.from_url(server.url) as client:
        asyncio.run(scenario())


def test_only_what_is_new_where_that_is_asked() -> None:
    async def scenario() -> None:
        write(client, 1, 2)
        await bridged(server.url, server.url, lambda _: True, from_newest=True)
        running = asyncio.ensure_future(bridged(server.url, server.url, holds(3), from_newest=True, prefix="{new}"))
        while not client.exists("{new}:positions:bridge:test"):
            await asyncio.sleep(0.01)
        write(client, 3)
        await running

    with redis_server() as server, Redis.from_url(server.url) as client:
        asyncio.run(scenario())


def test_anything_on_the_stream_is_passed_by() -> None:
    async def scenario() -> None:
        client.xadd(KEY, {"topic": "data.quotes.X.A"})
        client.xadd(KEY, {"topic": "health:heartbeat", "payload": "2026-11-22T06:30:10.159410151+00:00"})
        client.xadd(KEY, {"topic": "x", "payload": b"{\xff"})
        client.xadd(KEY, {"topic": "x", "payload": msgspec.json.encode({"signal": 1})})
        client.xadd(KEY, {"topic": "data.quotes.X.A", "payload": b"\x81\xa4type\xa9QuoteTick"})
        write(client, 1)
        bridge = await bridged(server.url, server.url, holds(1))
        assert (bridge.events, bridge.dead) == (1, 3)
        assert dict(bridge.translator.left) == {"health:heartbeat": 1, "x": 1}
        dead = of(await eventually(server.url, "{nautilus}", holds(1)), EventDeadLettered)
        assert [one.error.split(":")[0] for one in dead] == ["PayloadError"] * 3

    with redis_server() as server, Redis.from_url(server.url) as client:
        asyncio.run(scenario())


def test_there_must_be_something_to_read() -> None:
    pool = ConnectionPool(RedisAddress.parse("redis://127.0.0.1:1"))
    with pytest.raises(ValueError, match="must be named or matched"):
        NodeStreams(pool, Translator())
