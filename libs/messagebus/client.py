"""A client of the bus made from one configuration: connect, publish, read, watch the connection, close."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Self

import structlog

from libs.messagebus.backoff import backoff_seconds
from libs.messagebus.codec import Codec
from libs.messagebus.config import MessageBusConfig
from libs.messagebus.errors import ReconnectLimitError, TransportError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.progress import PublisherStatistics
from libs.messagebus.publisher import Publisher, new_incarnation
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.tail import TailReader
from libs.messagebus.topic import Event, Topic, TopicRegistry
from libs.messagebus.transport import Transport

_NS_PER_MS = 1_000_000


class MessageBus:
    """One connection to the bus with a publisher and readers on it.

    Example::

        async with MessageBus(MessageBusConfig(redis_port=6380), REGISTRY, CODEC) as bus:
            bus.publish(PriceSeen(now, "AAPL.XNAS", 187.5))
            async for envelope in bus.tail([PRICE_SEEN]):
                ...

    Attributes:
        config: What it was made from.
        transport: For what is not offered here.
        publisher: Its producer id is ``publisher.producer``.
        failures: Attempts in a row that did not reach the bus, 0 while it is there.
    """

    def __init__(
        self,
        config: MessageBusConfig,
        registry: TopicRegistry,
        codec: Codec,
        *,
        name: str = "client",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare a client; nothing is connected yet.

        Args:
            config: Where the bus is; a ``redis_url`` of ``memory://`` is a bus of this process alone.
            registry: Topics that may be published and read.
            codec: Codec of the registry's topics.
            name: Beginning of its producer id.
            sleep: Waits between attempts; for tests.
        """
        self.config = config
        self.transport: Transport = _transport(config)
        self.publisher = Publisher(
            self.transport,
            codec,
            registry,
            new_incarnation(name),
            config.clock,
            max_batch=config.max_batch_size,
            max_buffer=config.max_buffer_size,
            full_policy=config.full_policy,
            linger_ns=int(config.buffer_interval_ms * _NS_PER_MS),
            backoff=(config.reconnect_base_delay, config.reconnect_max_delay),
            sleep=sleep,
        )
        self.failures = 0
        self._registry = registry
        self._codec = codec
        self._sleep = sleep
        self._log = structlog.get_logger("bus").bind(client=self.publisher.producer)

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Flush and close."""
        await self.close()

    # -- the connection ---------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect, trying again with growing pauses.

        Raises:
            TransportRefusedError: If the server is there and refuses (password, version, settings).
            ReconnectLimitError: After ``max_reconnect_attempts`` failures.
        """
        await self._until_done(self.transport.connect)

    async def watch(self) -> None:
        """Look after the connection every ``health_check_interval``, until cancelled; a task of the caller's.

        Publisher and readers repeat what fails for as long as it takes; this is what knows a limit. Run it as a sibling
        of what uses the bus, so that giving up ends all of it.

        Raises:
            TransportRefusedError, ReconnectLimitError: As :meth:`connect`.
        """
        while True:
            await self._sleep(self.config.health_check_interval)
            await self._until_done(self.transport.ping)

    async def close(self) -> None:
        """Write what waits and disconnect; cancelled, it drops what is left and says so."""
        try:
            await self.publisher.close()
        finally:
            await self.transport.close()

    async def _until_done(self, operation: Callable[[], Awaitable[None]]) -> None:
        config = self.config
        while True:
            try:
                await operation()
            except TransportError as error:
                self.failures += 1
                if not error.retriable:
                    raise
                if config.max_reconnect_attempts is not None and self.failures >= config.max_reconnect_attempts:
                    raise ReconnectLimitError(
                        f"the bus must be reachable within {config.max_reconnect_attempts} attempts, was not: {error}; "
                        "bring it back, or raise max_reconnect_attempts"
                    ) from error
                wait_s = backoff_seconds(
                    self.publisher.producer, self.failures - 1, config.reconnect_base_delay, config.reconnect_max_delay
                )
                self._log.warning("bus_unreachable", error=str(error), attempt=self.failures, wait_seconds=wait_s)
                await self._sleep(wait_s)
            else:
                self.failures = 0
                return

    # -- publishing -------------------------------------------------------------------------------

    def publish(self, event: Event, *, cause: str = "", root: str = "") -> None:
        """See :meth:`Publisher.publish`."""
        self.publisher.publish(event, cause=cause, root=root)

    def publish_many(self, events: Sequence[Event]) -> None:
        """See :meth:`Publisher.publish_many`."""
        self.publisher.publish_many(events)

    async def publish_confirmed(self, event: Event, *, cause: str = "", root: str = "") -> str:
        """See :meth:`Publisher.publish_confirmed`."""
        return await self.publisher.publish_confirmed(event, cause=cause, root=root)

    async def flush(self) -> None:
        """See :meth:`Publisher.flush`."""
        await self.publisher.flush()

    def statistics(self) -> PublisherStatistics:
        """See :meth:`Publisher.statistics`."""
        return self.publisher.statistics()

    # -- reading ----------------------------------------------------------------------------------

    def tail(self, topics: Iterable[Topic[Any]], *, from_start: bool = False) -> TailReader:
        """See :class:`TailReader`; nothing is kept on the server."""
        return TailReader(self.transport, self._codec, self._registry, topics, from_start=from_start, sleep=self._sleep)


def _transport(config: MessageBusConfig) -> Transport:
    if config.redis_url == "memory://":
        return MemoryTransport()
    return RedisTransport(config.url, prefix=config.stream_key, connect_timeout_s=config.connection_timeout)
