"""A real NautilusTrader node is given our market data through an external stream: the numbers are ours."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis

from libs.bridges.nautilus_trader.outbound import NodeFeed
from libs.bridges.nautilus_trader.wire import Encoding, decode_entry
from libs.bridges.nautilus_trader.words import Digits
from libs.clock import LiveClock
from libs.contracts.market import BarClosed, CloseReceived, QuoteReceived, TradeReceived
from libs.contracts.topics import BAR, CODEC, HALT, QUOTE, REGISTRY
from libs.messagebus import Publisher, RedisTransport
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.pool import ConnectionPool
from libs.messagebus.topic import Event
from libs.testing.faulty_transport import FaultyTransport
from libs.testing.servers import redis_server
from tests.libs.bridges.bridging import child, told_by

T0 = 1_700_000_000_000_000_000
SYMBOL = "AUD/USD.SIM"
SIDES = ("buy", "sell", "unknown")


def market_data(count: int) -> list[Event]:
    found: list[Event] = []
    for i in range(count):
        price = 0.65 + i / 100_000
        found.append(QuoteReceived(T0 + i, SYMBOL, price, price + 0.0001, 1000.0 + i, 2000.0, "feed"))
        found.append(TradeReceived(T0 + i, SYMBOL, price, 1.0 + i, SIDES[i % 3], "feed"))  # type: ignore[arg-type]
        found.append(CloseReceived(T0 + i, SYMBOL, "1d", price, "feed"))  # no counterpart
    found.append(BarClosed(T0 + 9, SYMBOL, "5m", 0.65, 0.66, 0.64, 0.655, 12345.0, "feed"))
    return found


def expected(events: list[Event]) -> list[dict[str, Any]]:
    sides = {"buy": "BUYER", "sell": "SELLER", "unknown": "NO_AGGRESSOR"}
    found = []
    for number, one in enumerate(events):
        if isinstance(one, QuoteReceived):
            fields = {
                "type": "QuoteTick", "bid_price": f"{one.bid:.5f}", "ask_price": f"{one.ask:.5f}",
                "bid_size": f"{one.bid_size:.0f}", "ask_size": f"{one.ask_size:.0f}", "instrument_id": SYMBOL,
            }  # fmt: skip
        elif isinstance(one, TradeReceived):
            fields = {
                "type": "TradeTick", "price": f"{one.price:.5f}", "size": f"{one.size:.0f}", "instrument_id": SYMBOL,
                "aggressor_side": sides[one.aggressor], "trade_id": f"feed-1:{number}",
            }  # fmt: skip
        elif isinstance(one, BarClosed):
            fields = {
                "type": "Bar", "bar_type": f"{SYMBOL}-5-MINUTE-LAST-EXTERNAL", "open": "0.65000", "high": "0.66000",
                "low": "0.64000", "close": "0.65500", "volume": "12345",
            }  # fmt: skip
        else:
            continue
        found.append({**fields, "ts_event": one.ts_event})
    return found


async def publish(transport: RedisTransport, events: list[Event], producer: str = "feed-1") -> None:
    publisher = Publisher(transport, CODEC, REGISTRY, producer, LiveClock())
    await publisher.publish_many_wait(events)
    await publisher.close()


async def fed(feed: NodeFeed, done: Any) -> None:
    running = asyncio.ensure_future(feed.run())
    async with asyncio.timeout(60):
        while not done():
            if running.done():
                running.result()
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_a_real_node_is_given_our_numbers(encoding: Encoding) -> None:
    events = market_data(50)
    wanted = expected(events)

    async def scenario() -> Any:
        node = child("node_child.py", server.port, "fleet", encoding, len(wanted))
        try:
            assert node.stdout is not None
            assert await asyncio.to_thread(node.stdout.readline) == "ready\n"
            bus, pool = RedisTransport(server.url), ConnectionPool(RedisAddress.parse(server.url))
            feed = NodeFeed(bus, pool, "fleet", encoding=encoding, digits={SYMBOL: Digits(5, 0)}, from_oldest=True)
            await publish(bus, events)
            running = asyncio.ensure_future(feed.run())
            told = await asyncio.to_thread(told_by, node, 60)
            assert feed.messages == len(wanted)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await pool.close()
            await bus.close()
            return told
        finally:
            node.kill()
            node.communicate()

    with redis_server() as server:
        given = asyncio.run(scenario())
    assert all(one.pop("ts_init") >= one["ts_event"] for one in given)
    assert given == wanted


def test_each_message_is_written_once_whatever_fails() -> None:
    events = market_data(40)

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    async def scenario() -> None:
        bus, pool = RedisTransport(server.url), ConnectionPool(RedisAddress.parse(server.url))
        client = Redis(port=server.port)
        for number in range(0, len(events), 6):
            await publish(bus, events[number : number + 6], f"feed-{number}")
        faulty = FaultyTransport(bus)
        faulty.fail("read", None, "reply_lost", None, "refused", None, None, "reply_lost")
        options: Any = {"from_oldest": True, "sleep": at_once}
        for bound in (10, 30, 81):  # stopped and started again
            await fed(NodeFeed(faulty, pool, "fleet", **options), lambda bound=bound: client.xlen("fleet") >= bound)
        two = [NodeFeed(bus, pool, "fleet", **options) for _ in range(2)]  # two at once
        running = asyncio.gather(*(feed.run() for feed in two))
        more = [QuoteReceived(T0 + i, SYMBOL, 1.5, 1.75, 1, 1, "feed") for i in range(100)]
        for number, event in enumerate(more):
            await publish(bus, [event], f"more-{number}")
        async with asyncio.timeout(60):
            while client.xlen("fleet") < 181:
                await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        found = [decode_entry(fields).body for _, fields in client.xrange("fleet")]
        stamps = [event.ts_event for event in events if not isinstance(event, CloseReceived)]
        assert [int(one["ts_event"]) for one in found] == stamps + [event.ts_event for event in more]
        client.close()
        await pool.close()
        await bus.close()

    with redis_server() as server:
        asyncio.run(scenario())


def test_what_a_node_cannot_be_told_is_counted() -> None:
    events: list[Event] = [
        QuoteReceived(T0, SYMBOL, float("nan"), 1.0, 1, 1, "feed"),
        QuoteReceived(T0, "NOVENUE", 1.0, 1.0, 1, 1, "feed"),
        TradeReceived(T0, SYMBOL, 1.0, 0.0, "buy", "feed"),
        QuoteReceived(T0, SYMBOL, 1.0, 1.0, 1, 1, "feed"),
    ]

    async def scenario() -> None:
        bus, pool = RedisTransport(server.url), ConnectionPool(RedisAddress.parse(server.url))
        await publish(bus, events)
        feed = NodeFeed(bus, pool, "fleet", from_oldest=True)
        await fed(feed, lambda: feed.messages == 1)
        assert feed.left["UnmappedError"] == 3
        await pool.close()
        await bus.close()

    with redis_server() as server:
        asyncio.run(scenario())


def test_only_market_data_can_be_fed() -> None:
    bus, pool = RedisTransport("redis://127.0.0.1:1"), ConnectionPool(RedisAddress.parse("redis://127.0.0.1:1"))
    for topics in ([], [QUOTE, HALT]):
        with pytest.raises(ValueError, match="topics to feed must be among"):
            NodeFeed(bus, pool, "fleet", topics)
    NodeFeed(bus, pool, "fleet", [BAR])
