"""Reading the newest events without keeping a position: for websockets, the console, the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import structlog

from libs.messagebus.backoff import backoff_seconds
from libs.messagebus.codec import Codec
from libs.messagebus.envelope import EventEnvelope
from libs.messagebus.errors import DecodeError, TopicError, TransportError, TrimmedError
from libs.messagebus.topic import Topic, TopicRegistry
from libs.messagebus.transport import LAST, START, Entry, Transport, entry_before, entry_order

#: Entries of a stream in one read. Full ones hold 50 kB, and a reply past a megabyte costs the server three times as
#: much an entry.
READ_COUNT = 16
BLOCK_MS = 1000

#: Seconds between attempts, first and most: somebody is looking at a screen, and a read costs the server nothing.
BACKOFF = (0.1, 5.0)


class TailReader:
    """Yields what is published on some topics, from now on.

    Nothing is acknowledged and no position is stored: after a restart it begins at the newest again. While the bus is
    out of reach it waits and goes on where it was.

    Example::

        async for envelope in TailReader(transport, codec, registry, [QUOTE, BAR]):
            print(envelope.topic, envelope.event)

    Attributes:
        positions: Entry id read last, by stream; empty until the first read.
        bad_events: Events, and whole entries, skipped because they cannot be decoded.
        gaps: Times entries were trimmed away before they were read.
        errors: Reads that failed and were repeated.
    """

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        registry: TopicRegistry,
        topics: Iterable[Topic[Any]],
        *,
        from_start: bool = False,
        positions: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare a reader; it looks for the newest entries with its first read.

        Args:
            transport: Where to read.
            codec: Codec of the registry's topics.
            registry: All topics of the bus.
            topics: Wanted topics, at least one.
            from_start: Begin with the oldest entries there are instead of the newest.
            positions: Entry ids to go on after, by stream; streams without one follow ``from_start``.
            sleep: Waits between attempts; for tests.

        Raises:
            TopicError: If a topic is not of the registry.
            ValueError: If there is none.
        """
        wanted = list(topics)
        if not wanted:
            raise ValueError("topics to read must be at least one, was none; name the topics")
        for topic in wanted:
            if registry.by_name.get(topic.name) is not topic:
                raise TopicError(f"topic to read must be of the registry, was '{topic.name}'; add it there")
        self.positions: dict[str, str] = {}
        self.bad_events = 0
        self.gaps = 0
        self.errors = 0
        self._transport = transport
        self._codec = codec
        self._names = {topic.event: topic.name for topic in wanted}
        # Most urgent first: a read returns streams in the order it names them.
        self._streams = [stream for _, stream in sorted({(topic.priority, topic.stream) for topic in wanted})]
        self._given = dict(positions or {})
        self._from_start = from_start
        self._sleep = sleep
        self._log = structlog.get_logger("tail")

    async def __aiter__(self) -> AsyncIterator[EventEnvelope]:
        """Yield events, in order within each stream, for ever; it ends when the consumer stops asking."""
        failures = 0
        while True:
            try:
                found = await self._read()
            except TransportError as error:
                wait_s = backoff_seconds(self._streams[0], failures, *BACKOFF)
                failures += 1
                self.errors += 1
                self._log.warning("tail_interrupted", error=str(error), wait_seconds=round(wait_s, 3))
                await self._sleep(wait_s)
                continue
            failures = 0
            for entry in found:
                # Moved before its events are handed out: a consumer that fails on one does not get it again.
                self.positions[entry.stream] = entry.entry_id
                for envelope in self._envelopes(entry):
                    yield envelope

    async def _read(self) -> list[Entry]:
        if not self.positions:
            self.positions = await self._first_positions()
        try:
            return await self._transport.read(self.positions, READ_COUNT, BLOCK_MS)
        except TrimmedError as error:
            self.gaps += 1
            self._log.warning("tail_gap", error=str(error))
            for stream, position in self.positions.items():
                self.positions[stream] = max(position, await self._before_oldest(stream), key=entry_order)
            return []

    async def _first_positions(self) -> dict[str, str]:
        if self._from_start:
            found = {stream: await self._before_oldest(stream) for stream in self._streams}
        else:
            found = await self._transport.tails(self._streams)
        return {stream: self._given.get(stream, found[stream]) for stream in self._streams}

    async def _before_oldest(self, stream: str) -> str:
        oldest = await self._transport.read_range(stream, START, LAST, 1)
        if oldest:
            return entry_before(oldest[0].entry_id)
        return (await self._transport.tails([stream]))[stream]

    def _envelopes(self, entry: Entry) -> Iterator[EventEnvelope]:
        try:
            batch = self._codec.decode(entry.data)
        except DecodeError:
            try:
                batch, bad = self._codec.salvage(entry.data)
            except DecodeError as error:
                self.bad_events += 1
                self._log.warning("entry_skipped", stream=entry.stream, entry_id=entry.entry_id, error=str(error))
                return
            self.bad_events += len(bad)
        for index, event in enumerate(batch.events):
            topic = self._names.get(type(event))
            if topic is not None:
                yield EventEnvelope(
                    entry_id=entry.entry_id,
                    index=index,
                    topic=topic,
                    event_id=batch.event_id(index),
                    correlation_id=batch.correlation_id(index),
                    causation_id=batch.causation_id(index),
                    ts_publish=batch.ts_publish,
                    event=event,
                )
