"""Parts of the recovery benchmark: a host over a filled stream, a commit without its journal, a real engine process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
from prometheus_client import CollectorRegistry

from benchmarks.bus_parts import CountingEngine, quote
from libs.clock import Clock, LiveClock, TestClock
from libs.contracts.fleet import PORTS
from libs.contracts.topics import CODEC, QUOTE, REGISTRY
from libs.engine import core as core_module
from libs.engine.core import EngineCore
from libs.engine.engine import Outbox
from libs.engine.host import Host, HostSettings
from libs.engine.metrics import HostMetrics
from libs.messagebus import Publisher, RedisTransport, new_incarnation
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.redis.scripts import Script, load
from libs.messagebus.transport import START, Commit, Output
from libs.testing.ports import free_ports

ROOT = Path(__file__).resolve().parents[1]
STREAM = QUOTE.stream
_JOURNAL_LINE = b"redis.call('XADD', KEYS[3], ARGV[2] .. '-0', 'j', ARGV[3])"
_PATIENCE_SECONDS = 90.0
_LOOK_SECONDS = 0.005


@asynccontextmanager
async def connected(url: str, prefix: str = "{nautilus}") -> AsyncIterator[RedisTransport]:
    """A transport that is closed again."""
    transport = RedisTransport(url, prefix)
    await transport.connect()
    try:
        yield transport
    finally:
        await transport.close()


async def fill(transport: RedisTransport, events: int, batch: int) -> None:
    """Lay quotes on the stream, ``batch`` to an entry."""
    stamp = time.time_ns()
    for first in range(0, events, batch):
        data = CODEC.encode(RecordBatch("load", first, stamp, [quote(stamp)] * batch))
        await transport.append("load", first, batch, [Output(STREAM, data)])


# -- replay beside the live run -------------------------------------------------------------------


def make_host(transport: RedisTransport) -> Host:
    """A host of the counting engine that takes no snapshot by itself."""

    def make(_: Clock, outbox: Outbox) -> CountingEngine:
        return CountingEngine(outbox, None)

    metrics = HostMetrics(CollectorRegistry(), "benchmark")
    settings = HostSettings(snapshot_seconds=3600.0)
    return Host(make, transport, LiveClock(), CODEC, REGISTRY, metrics, settings)


async def live_seconds(transport: RedisTransport, events: int) -> float:
    """From the first read until everything is committed; then the host is killed, without a snapshot."""
    host = make_host(transport)
    engine: Any = host.engine
    running = asyncio.create_task(host.run())
    while host.state != "running":  # noqa: ASYNC110 - the host tells its state, not its changes
        await asyncio.sleep(0)
    start = time.perf_counter()
    while engine.state.seen < events or not (await transport.quiescence(["benchmark"])).quiet:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    seconds = time.perf_counter() - start
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return seconds


async def replay_seconds(transport: RedisTransport, events: int) -> float:
    """From the start of a host until it runs: all of it is recovery."""
    host = make_host(transport)
    engine: Any = host.engine
    start = time.perf_counter()
    running = asyncio.create_task(host.run())
    while host.state not in ("running", "failed"):  # noqa: ASYNC110
        await asyncio.sleep(0.0005)
    seconds = time.perf_counter() - start
    replayed = engine.state.seen
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    if replayed != events:
        raise RuntimeError(f"replayed events must be {events}, was {replayed}")
    return seconds


# -- what the journal costs -----------------------------------------------------------------------


@contextmanager
def no_journal() -> Iterator[None]:
    """Commits that write no journal entry and hash no outputs; everything else as it is."""
    whole = load("commit").source
    if whole.count(_JOURNAL_LINE) != 1:
        raise RuntimeError("commit.lua must append its journal in one line, was changed; correct the benchmark")
    without = whole.replace(_JOURNAL_LINE, b"")
    script = Script(without, hashlib.sha1(without, usedforsecurity=False).hexdigest())
    with (
        patch("libs.messagebus.redis.transport.load", lambda name: script if name == "commit" else load(name)),
        patch.object(core_module, "JournalEntry", lambda *_: None),
        patch.object(core_module, "encode_journal", lambda _: b""),
        patch.object(core_module, "output_hash", lambda _: b""),
        patch.object(core_module, "ranges_of", lambda _: []),
    ):
        yield


async def commit_seconds(transport: RedisTransport, reader: str, commits: int, batch: int) -> list[float]:
    """Seconds of each commit of a filled stream's entries, one entry each, the next handled while one is in flight."""
    outbox, clock = Outbox(), TestClock()
    engine = CountingEngine(outbox, None)
    engine.name = reader
    core = EngineCore(engine, clock, outbox, CODEC, REGISTRY, follow_events=True)
    lease = await transport.acquire(reader, [STREAM])
    entries = await transport.read({STREAM: START}, commits, 0)
    batches = [entries[index : index + 1] for index in range(commits)]
    seconds, last, flying = [], time.perf_counter(), None
    for number, taken in enumerate(batches, start=1):
        done = core.process(taken, number)
        if flying is not None:
            await flying
            now = time.perf_counter()
            seconds.append(now - last)
            last = now
        commit = Commit(reader, lease.epoch, number, done.positions, done.outputs, done.journal)
        flying = asyncio.create_task(transport.commit(commit))
        await asyncio.sleep(0)
    if flying is not None:
        await flying
    return seconds


# -- a real process -------------------------------------------------------------------------------


class EngineProcess:
    """``python -m services.portfolio`` on a server, started any number of times."""

    def __init__(self, url: str, folder: str, snapshot_seconds: float) -> None:
        prefixes = ("NAUTILUS_", "BUS_", "ENGINE_", "REDIS_", *(f"{name.upper()}_" for name in PORTS))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
        self._port = free_ports(("portfolio",))["portfolio"]
        self._environment = kept | {
            "REDIS_URL": url, "NAUTILUS_AUTH": "off", "NAUTILUS_DATA_DIR": folder, "PORTFOLIO_PORT": str(self._port),
            "NAUTILUS_SNAPSHOT_SECONDS": str(snapshot_seconds), "NAUTILUS_SNAPSHOT_EVENTS": "0",
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> tuple[float, float]:
        """Start it; seconds until it says that it is ready, and the CPU seconds it has used by then."""
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.portfolio"], env=self._environment, cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while self.ask("/health/ready").get("ready") is not True:
            if self._process.poll() is not None or time.perf_counter() - began > _PATIENCE_SECONDS:
                raise RuntimeError(f"the engine must become ready, was not: exit code {self._process.poll()}")
            time.sleep(_LOOK_SECONDS)
        seconds, used = time.perf_counter() - began, psutil.Process(self._process.pid).cpu_times()
        return seconds, used.user + used.system

    def end(self, how: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait()

    def ask(self, path: str) -> dict[str, Any]:
        """A document of its surface, {} where there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                document: dict[str, Any] = json.load(answer)
                return document
        except (OSError, ValueError):
            return {}


async def publish_quotes(url: str, rate: int, until: asyncio.Event) -> None:
    """Quotes at a steady rate, until told."""
    async with connected(url) as transport:
        publisher = Publisher(transport, CODEC, REGISTRY, new_incarnation("load"), LiveClock())
        start, sent = time.perf_counter(), 0
        while not until.is_set():
            due = int((time.perf_counter() - start) * rate)
            await publisher.publish_many_wait([quote(time.time_ns())] * (due - sent))
            sent = due
            await asyncio.sleep(0.005)
        await publisher.close()
