"""The processes of the bus benchmark: a publisher, an engine in its real host, an observer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

import msgspec
import structlog
import uvloop
from prometheus_client import CollectorRegistry

from libs.clock import Clock, LiveClock
from libs.contracts.market import QuoteReceived
from libs.contracts.orders import SignalGenerated
from libs.contracts.topics import CODEC, QUOTE, REGISTRY, SIGNAL
from libs.engine.engine import Outbox
from libs.engine.host import Host, HostSettings
from libs.engine.metrics import HostMetrics
from libs.messagebus import Publisher, RedisTransport, new_incarnation, on
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.messagebus.topic import Route
from libs.messagebus.transport import START

SIGNAL_EVERY = 10
"""The engine publishes one event for so many quotes; that is what the observer waits for."""

TICK_S = 0.001


def quote(stamp: int) -> QuoteReceived:
    """A quote of 96 bytes on the wire."""
    return QuoteReceived(stamp, "BTCUSDT.BINANCE", 43123.45, 43123.55, 1.2345, 0.8765, "benchmark-01")


class CountingState(msgspec.Struct):
    seen: int = 0


class CountingEngine:
    """Counts quotes, publishes a signal now and then, and (for latency) notes when each quote reached it."""

    name = "benchmark"
    state_type = CountingState

    def __init__(self, outbox: Outbox, arrivals: list[int] | None) -> None:
        self.state = CountingState()
        self._outbox = outbox
        self._arrivals = arrivals

    def routes(self) -> list[Route]:
        return [on(QUOTE, self.on_quote if self._arrivals is None else self.on_quote_timed)]

    def on_quote(self, event: QuoteReceived) -> None:
        self.state.seen += 1
        if self.state.seen % SIGNAL_EVERY == 0:
            self._outbox.publish(SignalGenerated(event.ts_event, "benchmark", event.symbol, "buy", 1.0, ""))

    def on_quote_timed(self, event: QuoteReceived) -> None:
        # A real engine reads no clock; this one is the measuring instrument.
        assert self._arrivals is not None
        self._arrivals.append(time.perf_counter_ns() - event.ts_event)

    def on_start(self) -> None:
        pass

    def on_time_event(self, name: str, ts_event: int) -> None:
        pass

    def snapshot(self) -> CountingState:
        return self.state

    def restore(self, state: CountingState) -> None:
        self.state = state

    def status(self) -> dict[str, Any]:
        return {"seen": self.state.seen}


@dataclass(frozen=True)
class Load:
    """What the publisher does: ``rate`` events/s, or as fast as it goes when 0.

    ``perf_counter_ns`` counts the same in all processes of one machine, so stamps of one can be read in another.
    """

    url: str
    events: int
    batch: int
    rate: int = 0


def run(main: Coroutine[Any, Any, None]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    uvloop.run(main)


def engine_process(url: str, timed: bool, pipe: Pipe) -> None:
    """Host the engine; says "ready", ends on any message, answers with latencies and CPU time in nanoseconds."""
    run(_host(url, timed, pipe))


async def _host(url: str, timed: bool, pipe: Pipe) -> None:
    arrivals: list[int] | None = [] if timed else None

    def make(_: Clock, outbox: Outbox) -> CountingEngine:
        return CountingEngine(outbox, arrivals)

    transport = RedisTransport(url)
    await transport.connect()
    metrics = HostMetrics(CollectorRegistry(), "benchmark")
    host = Host(make, transport, LiveClock(), CODEC, REGISTRY, metrics, HostSettings(snapshot_seconds=3600.0))
    running = asyncio.create_task(host.run())
    while host.state != "running":  # noqa: ASYNC110 - the host tells its state, not its changes
        await asyncio.sleep(TICK_S)
    pipe.send("ready")
    cpu = time.process_time_ns()
    await asyncio.to_thread(pipe.recv)
    cpu = time.process_time_ns() - cpu
    host.stop()
    await running
    await transport.close()
    pipe.send((arrivals, cpu))


def publisher_process(load: Load, pipe: Pipe) -> None:
    """Publish; answers with ``perf_counter_ns`` at the start, the PING times of meanwhile and its CPU time."""
    run(_publish(load, pipe))


async def _publish(load: Load, pipe: Pipe) -> None:
    transport = RedisTransport(load.url)
    await transport.connect()
    publisher = Publisher(
        transport,
        CODEC,
        REGISTRY,
        new_incarnation("load"),
        LiveClock(),
        max_batch=load.batch,
        max_buffer=max(4 * load.batch, 1024),
    )
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)
    pings: list[int] = []
    pinging = asyncio.create_task(_ping(load.url, pings)) if load.rate else None
    start, cpu = time.perf_counter_ns(), time.process_time_ns()
    if load.rate:
        await _publish_paced(publisher, load)
    else:
        await _publish_all(publisher, load)
    await publisher.flush()
    pipe.send((start, pings, time.process_time_ns() - cpu))
    if pinging is not None:
        pinging.cancel()
        await asyncio.wait({pinging})
    await publisher.close()
    await transport.close()


async def _publish_all(publisher: Publisher, load: Load) -> None:
    event = quote(time.perf_counter_ns())
    for first in range(0, load.events, load.batch):
        await publisher.publish_many_wait([event] * min(load.batch, load.events - first))


async def _publish_paced(publisher: Publisher, load: Load) -> None:
    """Open loop: what is due by now is published, however long the events before it took."""
    start, sent = time.perf_counter_ns(), 0
    while sent < load.events:
        due = min(load.events, int((time.perf_counter_ns() - start) * load.rate / 1e9))
        for _ in range(due - sent):
            publisher.publish(quote(time.perf_counter_ns()))
        sent = max(sent, due)
        await asyncio.sleep(max(TICK_S, 1 / load.rate))


async def _ping(url: str, samples: list[int]) -> None:
    connection = await Connection.open(RedisAddress.parse(url))
    try:
        while True:
            start = time.perf_counter_ns()
            await connection.execute("PING")
            samples.append(time.perf_counter_ns() - start)
            await asyncio.sleep(5 * TICK_S)
    finally:
        connection.close()


def observer_process(url: str, signals: int, pipe: Pipe) -> None:
    """Read the engine's signals; says "ready", then the ``perf_counter_ns`` of the last one."""
    run(_observe(url, signals, pipe))


async def _observe(url: str, signals: int, pipe: Pipe) -> None:
    transport = RedisTransport(url)
    await transport.connect()
    pipe.send("ready")
    seen, position = 0, START
    while seen < signals:
        # The instrument decodes every signal and looks every 5 ms: what it takes of the cores, the measured lack.
        for entry in await transport.read({SIGNAL.stream: position}, 64, 1_000):
            position = entry.entry_id
            seen += sum(type(event) is SIGNAL.event and bool(event.symbol) for event in CODEC.decode(entry.data).events)
        await asyncio.sleep(0.005)
    pipe.send(time.perf_counter_ns())
    await transport.close()
