"""The publishing client: takes events at once, writes them in batches, loses and doubles none.

While one write is in flight, events gather; its reply sends them all as the next batch (group commit). That finds the
right batch size by itself: a lone event leaves at once, at 50 thousand events/s a batch holds about 30. A linger only
adds its own delay; it is there to save CPU.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from libs.clock import Clock
from libs.messagebus.backoff import BASE_SECONDS, MAX_SECONDS, backoff_seconds
from libs.messagebus.batching import Batcher, Batches, Tracked
from libs.messagebus.buffer import EventBuffer, FullPolicy
from libs.messagebus.codec import Codec
from libs.messagebus.errors import PublisherClosedError, TransportError
from libs.messagebus.progress import Progress, PublisherStatistics
from libs.messagebus.topic import Event, TopicRegistry
from libs.messagebus.transport import Transport


def new_incarnation(name: str) -> str:
    """A producer id for this run of ``name``, different from all earlier ones.

    Sequence numbers begin at 0 in every run, and the bus drops a sequence it has seen, so two runs must never share an
    id. A clock can be set back and a process id returns; only drawn bytes are unique. They are drawn once, outside any
    engine: what engines publish carries their name alone and is counted by their commits.
    """
    return f"{name}-{os.urandom(6).hex()}"


class Publisher:
    """Publishes events of one producer; use it from one event loop.

    Up to ``max_buffer`` events wait, and one batch of at most ``max_batch`` is in flight. A batch is kept until the bus
    acknowledges it and is sent again under the same sequence number after a failure, for as long as it takes.
    """

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        registry: TopicRegistry,
        producer: str,
        clock: Clock,
        *,
        max_batch: int = 1024,
        max_buffer: int = 10_000,
        full_policy: FullPolicy = "wait",
        linger_ns: int = 0,
        backoff: tuple[float, float] = (BASE_SECONDS, MAX_SECONDS),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare a publisher; it starts to work with the first event.

        Args:
            transport: Where to append.
            codec: Codec of the registry's topics.
            registry: Topics that may be published.
            producer: Id of this incarnation; see :func:`new_incarnation`.
            clock: Stamps ``ts_publish``.
            max_batch: Events in one append call at most.
            max_buffer: Events that may wait.
            full_policy: What ``publish`` does when the buffer is full. ``wait``: it raises, and the awaiting methods
                wait. ``fail``: all of them raise. ``drop_low``: the oldest LOW event makes room; without one all raise.
            linger_ns: How long a lone event waits for company.
            backoff: Least and most seconds between attempts.
            sleep: Waits between attempts; for tests.

        Raises:
            ValueError: If a bound is below 1.
        """
        if max_batch < 1 or max_buffer < 1:
            raise ValueError(f"max_batch and max_buffer must be at least 1, was {max_batch} and {max_buffer}")
        self.producer = producer
        self._transport = transport
        self._clock = clock
        self._max_batch, self._max_buffer = max_batch, max_buffer
        self._linger_s = linger_ns / 1e9
        self._backoff = backoff
        self._sleep = sleep
        self._progress = Progress()
        self._buffer = EventBuffer(registry, max_buffer, full_policy, self._progress)
        self._put = self._buffer.put  # bound once: 30 ns an event
        self._batcher = Batcher(producer, codec, self._buffer.streams)
        self._sequence = self._in_flight = 0
        self._writing = Batches()
        self._wake, self._hurry = asyncio.Event(), asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._busy = self._closed = False
        self._published = self._batches = self._rejected = self._retries = 0
        self._last_error = self._fault = ""
        self._log = structlog.get_logger("publisher").bind(producer=producer)

    # -- publishing -------------------------------------------------------------------------------

    def publish(self, event: Event, *, cause: str = "", root: str = "") -> None:
        """Take an event; it is written in order, soon. Needs a running event loop, and never waits.

        Args:
            event: Of a registered topic.
            cause: Id of the event that directly caused it, ``""`` for none.
            root: Id of the root cause where it is not ``cause`` itself.

        Raises:
            BufferFullError: If the buffer is full and the policy finds no room.
            PublisherClosedError: After :meth:`close`.
            TopicError: If the event belongs to no topic.
            PublishError: If ``cause`` or ``root`` is no event id.
        """
        if self._closed:  # as _check_open, without the call
            self._check_open()
        self._put(Tracked.of(event, cause, root) if cause or root else event)
        if not self._busy:
            self._rouse()

    async def publish_wait(self, event: Event, *, cause: str = "", root: str = "") -> None:
        """As :meth:`publish`, but under the policy ``wait`` wait until there is room."""
        await self._buffer.wait_for_room()
        self.publish(event, cause=cause, root=root)

    def publish_many(self, events: Sequence[Event]) -> None:
        """Take many events at once, for sources that get them in bulk: a third of the cost of one call each.

        Raises:
            BufferFullError: If there is no room for all of them; none was taken (``drop_low`` drops and raises as
                :meth:`publish` does, event by event).
            PublisherClosedError, TopicError: As :meth:`publish`; none was taken.
        """
        self._check_open()
        if events:
            self._buffer.put_many(events)
            if not self._busy:
                self._rouse()

    async def publish_many_wait(self, events: Sequence[Event]) -> None:
        """As :meth:`publish_many`, but under the policy ``wait`` wait for room, a batch at a time."""
        size = min(self._max_batch, self._max_buffer)
        for start in range(0, len(events), size):
            part = events[start : start + size]
            await self._buffer.wait_for_room(len(part))
            self.publish_many(part)

    async def publish_confirmed(self, event: Event, *, cause: str = "", root: str = "") -> str:
        """Publish and wait until the bus has the event; for what must not be lost.

        Returns:
            The id of the event.

        Raises:
            BufferFullError, PublisherClosedError, TopicError: As :meth:`publish`.
            PublishError: If the event cannot be encoded or is too large; it was not published.
        """
        await self._buffer.wait_for_room()
        self._check_open()
        item = Tracked.of(event, cause, root)
        item.confirmed = asyncio.get_running_loop().create_future()
        self._buffer.put(item)
        self._rouse()
        return await item.confirmed

    async def flush(self) -> None:
        """Wait until everything published before this call is acknowledged, however long the bus is out of reach.

        Raises:
            PublisherClosedError: If the publisher is closed first and drops some of it.
        """
        self._hurry.set()
        await self._progress.when_done(len(self._buffer) + self._in_flight)

    async def close(self) -> None:
        """Take no more events, flush, end. Cancelled (for a bus that stays away) it drops what is left and says so."""
        self._closed = True
        self._hurry.set()
        self._wake.set()
        if self._worker is not None:
            await self._worker  # a cancellation of close() reaches the worker through this await

    def statistics(self) -> PublisherStatistics:
        """Counters, at this moment."""
        dropped, buffered = self._buffer.dropped + self._rejected, len(self._buffer) + self._in_flight
        return PublisherStatistics(self._published, self._batches, dropped, self._retries, buffered, self._last_error)

    def _check_open(self) -> None:
        if self._closed:
            raise PublisherClosedError(
                f"publisher '{self.producer}' must be open, was closed{self._fault}; make a new one"
            )

    # -- writing ----------------------------------------------------------------------------------

    def _rouse(self) -> None:
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name=f"{self.producer}.publisher")
        self._wake.set()
        # Once roused, the worker goes on until the buffer is empty, so publish() need not come here again: that is
        # 0.2 us an event. A lingering worker has to be told when its batch is full.
        self._busy = not self._linger_s
        if len(self._buffer) >= self._max_batch:
            self._hurry.set()

    async def _work(self) -> None:
        try:
            while len(self._buffer) or not self._closed:
                if not len(self._buffer):
                    self._busy = False
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                if self._linger_s:
                    await self._linger()
                self._busy = True
                items = self._buffer.take(self._max_batch)
                self._in_flight = len(items)
                batches = self._batcher.encode(items, self._sequence, self._clock.timestamp_ns())
                self._reject(batches)
                if batches.outputs:
                    await self._write(batches)
                self._in_flight = 0
                self._progress.finish(len(items))
        except Exception as error:  # the log went backward, say: whoever waits is told that and not only the end
            self._fault = f": {error}"
            raise
        finally:
            # After anything but an orderly close nothing that waits is ever written: whoever waits is told.
            self._closed = True
            self._abandon()

    async def _linger(self) -> None:
        self._busy = False
        if len(self._buffer) < self._max_batch:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger_s):
                    await self._hurry.wait()
        if not self._progress.awaited and not self._closed:
            self._hurry.clear()

    async def _write(self, batches: Batches) -> None:
        self._writing = batches
        failures = 0
        while True:
            try:
                await self._transport.append(self.producer, self._sequence, batches.count, batches.outputs)
            except TransportError as error:
                # The same sequence again: if only the reply was lost, the bus drops the second copy.
                wait_s = backoff_seconds(self.producer, failures, *self._backoff)
                failures += 1
                self._retries += 1
                self._last_error = str(error)
                self._log.warning("publish_failed", error=str(error), attempt=failures, wait_seconds=round(wait_s, 3))
                await self._sleep(wait_s)
                continue
            break
        self._sequence += batches.count
        self._published += batches.count
        self._batches += 1
        batches.confirm()

    def _reject(self, batches: Batches) -> None:
        for item, error in batches.rejected:
            self._rejected += 1
            self._last_error = str(error)
            self._log.error("event_rejected", error=str(error))
            if isinstance(item, Tracked):
                item.fail(error)

    def _abandon(self) -> None:
        left = self._buffer.take(len(self._buffer))
        lost = len(left) + self._in_flight
        if lost:
            self._log.error("events_lost", count=lost, reason="closed before the bus acknowledged them")
        error = PublisherClosedError(
            f"publisher '{self.producer}' was closed before the bus had the event{self._fault}"
        )
        self._progress.fail(error)
        self._writing.fail(error)  # without effect on those that were confirmed
        for item in left:
            if isinstance(item, Tracked):
                item.fail(error)
