"""The processes of the soak: a source, and three engines in their hosts, each reading what the one before writes."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from multiprocessing.connection import Connection as Pipe
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from benchmarks.bus_parts import run
from libs.clock import Clock, LiveClock
from libs.contracts.analysis import FeaturesCalculated
from libs.contracts.market import QuoteReceived
from libs.contracts.orders import SignalGenerated
from libs.contracts.topics import CODEC, FEATURES, QUOTE, REGISTRY, SIGNAL
from libs.engine.engine import Outbox
from libs.engine.host import Host, HostSettings
from libs.engine.metrics import HostMetrics
from libs.messagebus import Publisher, RedisTransport, new_incarnation, on
from libs.messagebus.topic import Route

SYMBOLS = tuple(f"SYM{number:03d}" for number in range(200))
#: One set of features for so many quotes of a symbol, one signal for so many sets of features.
FEATURES_EVERY, SIGNAL_EVERY = 4, 5
BATCH = 512
#: Far below what the topics keep in production: every snapshot has something to trim.
RETENTION = 8
SNAPSHOT_SECONDS = 0.5
READY_LOOK_SECONDS = 0.01


class AverageState(msgspec.Struct):
    seen: int = 0
    averages: dict[str, float] = {}
    counts: dict[str, int] = {}


class _Engine:
    """What the three have in common: a count, and an exponential average a symbol."""

    state_type = AverageState

    def __init__(self, outbox: Outbox) -> None:
        self.state = AverageState()
        self._outbox = outbox

    def _note(self, symbol: str, value: float) -> int:
        state = self.state
        state.seen += 1
        before = state.averages.get(symbol, value)
        state.averages[symbol] = before + 0.1 * (value - before)
        count = state.counts[symbol] = state.counts.get(symbol, 0) + 1
        return count

    def on_start(self) -> None:
        pass

    def on_time_event(self, name: str, ts_event: int) -> None:
        pass

    def snapshot(self) -> AverageState:
        return self.state

    def restore(self, state: AverageState) -> None:
        self.state = state

    def status(self) -> dict[str, Any]:
        return {"seen": self.state.seen}


class Features(_Engine):
    name = "features"

    def routes(self) -> list[Route]:
        return [on(QUOTE, self.on_quote)]

    def on_quote(self, event: QuoteReceived) -> None:
        if self._note(event.symbol, event.bid) % FEATURES_EVERY == 0:
            values = {"average": self.state.averages[event.symbol]}
            self._outbox.publish(FeaturesCalculated(event.ts_event, event.symbol, "1s", values, {}, 0))


class Strategy(_Engine):
    name = "strategy"

    def routes(self) -> list[Route]:
        return [on(FEATURES, self.on_features)]

    def on_features(self, event: FeaturesCalculated) -> None:
        if self._note(event.symbol, event.values["average"]) % SIGNAL_EVERY == 0:
            self._outbox.publish(SignalGenerated(event.ts_event, "soak", event.symbol, "buy", 1.0, ""))


class Book(_Engine):
    name = "portfolio"

    def routes(self) -> list[Route]:
        return [on(SIGNAL, self.on_signal)]

    def on_signal(self, event: SignalGenerated) -> None:
        self._note(event.symbol, 1.0)


ENGINES: dict[str, type[Features] | type[Strategy] | type[Book]] = {
    kind.name: kind for kind in (Features, Strategy, Book)
}
#: What each trims after its snapshots.
TRIMS = {"features": (QUOTE, FEATURES), "strategy": (SIGNAL,), "portfolio": ()}


def engine_process(url: str, name: str, pipe: Pipe) -> None:
    """Host an engine: "ready"; to "count" what it has handled, to "snapshot" the commit it stands at, until "stop"."""
    run(_host(url, name, pipe))


async def _host(url: str, name: str, pipe: Pipe) -> None:
    def make(_: Clock, outbox: Outbox) -> _Engine:
        return ENGINES[name](outbox)

    transport = RedisTransport(url)
    await transport.connect()
    trims = {topic.stream: RETENTION for topic in TRIMS[name]}
    settings = HostSettings(snapshot_seconds=SNAPSHOT_SECONDS, trims=trims)
    host = Host(make, transport, LiveClock(), CODEC, REGISTRY, HostMetrics(CollectorRegistry(), name), settings)
    running = asyncio.create_task(host.run())
    while host.state != "running":  # noqa: ASYNC110 - the host tells its state, not its changes
        await asyncio.sleep(READY_LOOK_SECONDS)
    pipe.send("ready")
    while (asked := await asyncio.to_thread(pipe.recv)) != "stop" and not running.done():
        if asked == "count":
            pipe.send(host.engine.status()["seen"])
            continue
        number = await host.snapshot_now()
        _give_back()
        pipe.send(number)
    host.stop()
    await running
    await transport.close()


def _give_back() -> None:
    """Return to the system what the allocator keeps for later; without effect where it has no such call."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def source_process(url: str, pipe: Pipe) -> None:
    """Publish: "ready", then as many quotes as each message says and "done" when the bus has them; 0 ends it."""
    run(_publish(url, pipe))


async def _publish(url: str, pipe: Pipe) -> None:
    transport, clock = RedisTransport(url), LiveClock()
    await transport.connect()
    publisher = Publisher(
        transport, CODEC, REGISTRY, new_incarnation("soak"), clock, max_batch=BATCH, max_buffer=4 * BATCH
    )
    pipe.send("ready")
    number = 0
    while wanted := await asyncio.to_thread(pipe.recv):
        for first in range(0, wanted, BATCH):
            now, events = clock.timestamp_ns(), []
            for _ in range(min(BATCH, wanted - first)):
                price = 100.0 + number % 977 / 100
                symbol = SYMBOLS[number % len(SYMBOLS)]
                events.append(QuoteReceived(now, symbol, price, price + 0.01, 1.0, 1.0, "soak"))
                number += 1
            await publisher.publish_many_wait(events)
        await publisher.flush()
        pipe.send("done")
    await publisher.close()
    await transport.close()
