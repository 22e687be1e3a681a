"""Writes our market data to the stream that a NautilusTrader node reads as external.

A node reads from the moment it was built, keeps no position and acknowledges nothing, so the stream is bounded by
count and old entries are of no use to anybody. How far our topics were written is kept beside the stream and moves in
one step with the entries: a feed that is killed, or one that runs twice, writes each message once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha1
from typing import Any

import structlog

from libs.bridges.nautilus_trader.errors import BridgeError
from libs.bridges.nautilus_trader.wire import Encoding, encode_entry
from libs.bridges.nautilus_trader.words import Digits, Words, words_for_bar, words_for_quote, words_for_trade
from libs.contracts import topics
from libs.contracts.market import BarClosed, QuoteReceived, TradeReceived
from libs.messagebus.backoff import backoff_seconds
from libs.messagebus.codec import Codec
from libs.messagebus.envelope import EventEnvelope
from libs.messagebus.errors import DecodeError, TransportError
from libs.messagebus.redis.connection import Argument
from libs.messagebus.redis.pool import ConnectionPool
from libs.messagebus.redis.replies import ReplyError
from libs.messagebus.topic import Topic
from libs.messagebus.transport import LAST, START, Entry, Transport, entry_before

TOPICS: tuple[Topic[Any], ...] = (topics.QUOTE, topics.TICK, topics.BAR)
READ_COUNT = 64
BLOCK_MS = 500
KEEP = 100_000
"""Entries the stream keeps, about; 22 MB of quotes."""

_WRITE = b"""
-- Append messages unless they were appended before, and move the position in one step.
-- KEYS  1 stream   2 positions  hash stream of the bus -> newest entry written
-- ARGV  1 stream of the bus   2 position before, '' for none   3 position after   4 entries to keep, about
--       5.. the eight fields of each message
local held = redis.call('HGET', KEYS[2], ARGV[1]) or ''
if held == ARGV[3] then return 0 end
if held ~= ARGV[2] then return redis.error_reply('MOVEDON ' .. held) end
for i = 5, #ARGV, 8 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', unpack(ARGV, i, i + 7))
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return 1
"""
_DIGEST = sha1(_WRITE, usedforsecurity=False).hexdigest()


class NodeFeed:
    """Feeds one external stream.

    Attributes:
        messages: Messages written.
        left: Events that could not be decoded or that NautilusTrader cannot express, by error.
    """

    def __init__(
        self,
        bus: Transport,
        pool: ConnectionPool,
        key: str,
        wanted: Iterable[Topic[Any]] = TOPICS,
        *,
        encoding: Encoding = "msgpack",
        price_type: str = "LAST",
        digits: Mapping[str, Digits] | None = None,
        from_oldest: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare a feed.

        Args:
            bus: Where our events are.
            pool: Connections to the server that the node reads.
            key: The stream, one of the node's ``external_streams``.
            wanted: Of quotes, trades and bars.
            encoding: As in the node's ``MessageBusConfig``; its default is ``msgpack``.
            price_type: What our bars are made of there.
            digits: Decimal places by symbol, where messages shall have those of the node's instrument.
            from_oldest: Begin with the oldest events kept instead of the newest.
            sleep: Waits between attempts; for tests.

        Raises:
            ValueError: If a topic is no market data, or there is none.
        """
        chosen = list(wanted)
        if not chosen or any(topic not in TOPICS for topic in chosen):
            names = ", ".join(topic.name for topic in TOPICS)
            raise ValueError(f"topics to feed must be among {names}, was {[topic.name for topic in chosen]}")
        self.messages = 0
        self.left: Counter[str] = Counter()
        self._bus, self._pool, self._key = bus, pool, key
        self._events = {topic.event for topic in chosen}
        self._streams = sorted({topic.stream for topic in chosen})
        self._encoding, self._price_type, self._digits = encoding, price_type, digits or {}
        self._from_oldest = from_oldest
        self._positions: dict[str, str] = {}
        self._codec: Codec = topics.CODEC
        self._sleep = sleep
        self._log = structlog.get_logger("bridge.nautilus_trader")

    async def run(self) -> None:
        """Feed until cancelled.

        Raises:
            TransportRefusedError: If a server refuses until a setting changes.
            TrimmedError: If our events were trimmed before they were fed.
        """
        failures = 0
        while True:
            try:
                if not self._positions:
                    await self._begin()
                await self._step()
                failures = 0
            except TransportError as error:
                if not error.retriable:
                    raise
                self._positions = {}  # what was written before the connection was lost is known there
                wait_s = backoff_seconds(self._key, failures)
                failures += 1
                self._log.warning("feed_interrupted", error=str(error), wait_seconds=round(wait_s, 3))
                await self._sleep(wait_s)

    # -- positions --------------------------------------------------------------------------------

    async def _begin(self) -> None:
        held = await self._ask("HMGET", self._position_key, *self._streams)
        found = {stream: at.decode() for stream, at in zip(self._streams, held, strict=True) if at is not None}
        for stream in self._streams:
            if stream not in found:
                found[stream] = await self._first(stream)
                await self._write(stream, "", found[stream], [])
        self._positions = found

    async def _first(self, stream: str) -> str:
        if self._from_oldest:
            oldest = await self._bus.read_range(stream, START, LAST, 1)
            return entry_before(oldest[0].entry_id) if oldest else START
        return (await self._bus.tails([stream]))[stream]

    @property
    def _position_key(self) -> str:
        return f"{self._key}:fed"

    # -- writing ----------------------------------------------------------------------------------

    async def _step(self) -> None:
        for entry in await self._bus.read(self._positions, READ_COUNT, BLOCK_MS):
            messages = [message for envelope in self._envelopes(entry) if (message := self._message(envelope))]
            await self._write(entry.stream, self._positions[entry.stream], entry.entry_id, messages)
            self._positions[entry.stream] = entry.entry_id
            self.messages += len(messages)

    async def _write(self, stream: str, before: str, after: str, messages: list[list[bytes]]) -> None:
        fields = [field for message in messages for field in message]
        arguments: tuple[Argument, ...] = (2, self._key, self._position_key, stream, before, after, KEEP, *fields)
        connection = await self._pool.writer()
        (reply,) = await connection.send([("EVALSHA", _DIGEST, *arguments)])
        if isinstance(reply, ReplyError) and reply.code == "NOSCRIPT":
            (reply,) = await connection.send([("EVAL", _WRITE, *arguments)])
        if isinstance(reply, ReplyError) and reply.code == "MOVEDON":
            raise TransportError(
                f"stream '{self._key}' must be fed up to {before or 'nothing'}, was up to {reply.detail or 'nothing'}: "
                "another feed writes it, or the server lost its newest writes; going on from there"
            )
        if isinstance(reply, ReplyError):
            raise self._pool.meaning_of(reply)

    async def _ask(self, *command: str) -> Any:
        reply = await self._pool.call(command)
        if isinstance(reply, ReplyError):
            raise self._pool.meaning_of(reply)
        return reply

    # -- events -----------------------------------------------------------------------------------

    def _envelopes(self, entry: Entry) -> list[EventEnvelope]:
        try:
            batch, bad = self._codec.salvage(entry.data)
        except DecodeError as error:
            self.left["DecodeError"] += 1
            self._log.warning("entry_not_fed", stream=entry.stream, entry_id=entry.entry_id, error=str(error))
            return []
        self.left["DecodeError"] += len(bad)
        return [
            EventEnvelope(entry.entry_id, i, "", batch.event_id(i), "", "", batch.ts_publish, event)
            for i, event in enumerate(batch.events)
            if type(event) in self._events
        ]

    def _message(self, envelope: EventEnvelope) -> list[bytes] | None:
        try:
            topic, kind, body = self._words(envelope)
            return encode_entry(topic, kind, body, self._encoding)
        except BridgeError as error:
            self.left[type(error).__name__] += 1
            self._log.warning("event_not_expressed", event_id=envelope.event_id, error=str(error))
            return None

    def _words(self, envelope: EventEnvelope) -> Words:
        event, ts_init = envelope.event, envelope.ts_publish
        if isinstance(event, QuoteReceived):
            return words_for_quote(event, ts_init, self._digits.get(event.symbol))
        if isinstance(event, TradeReceived):
            return words_for_trade(event, envelope.event_id, ts_init, self._digits.get(event.symbol))
        assert isinstance(event, BarClosed)
        return words_for_bar(event, ts_init, self._price_type, self._digits.get(event.symbol))
