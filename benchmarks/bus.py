"""The message bus between real processes: publisher, Redis, an engine in its host, an observer.

Latency: from `publish()` in one process to the handler in another, open loop, beside Redis PING (a connection of the
publishing process, at the same time): a message crosses the machine twice, a PING does too.

Throughput: quotes of 96 bytes through one sequenced engine: append, read, decode, handle, commit with journal, and an
observer that waits for the last of the engine's own events. One peer is `redis-benchmark` writing the same bytes with
one XADD an event, pipelined by 256: what the server takes when nobody decodes, handles or commits anything. The other
is the same job by hand on plain redis-py, without the guarantees (benchmarks/bus_peer.py).

Redis runs with its append-only file on, as the product does. Rates fall with what others leave of the machine, by
half and more within minutes; so what is promised is a share of what the plain program reaches in the same minutes. It
did 1 million events/s where 700 thousand were asked of ours.
"""

from __future__ import annotations

import multiprocessing
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe
from typing import Any, Literal

from benchmarks.bus_parts import (
    SIGNAL_EVERY,
    Load,
    engine_process,
    observer_process,
    publisher_process,
    quote,
)
from benchmarks.bus_peer import peer_engine, peer_observer, peer_publisher
from benchmarks.table import Options, Summary, Table, options, summarise
from libs.contracts.topics import CODEC
from libs.messagebus.redis import EmbeddedRedis

BATCHES = (1, 64, 512)
#: Least share promised of what plain redis-py does in the same run, at the largest batch.
SHARE_OF_PLAIN = 0.7
#: Events/s to the most median latency promised, microseconds.
LATENCIES = {100: 2_500, 1_000: 2_000, 10_000: 2_500}

_processes = multiprocessing.get_context("spawn")


@contextmanager
def redis(fsync: Literal["everysec", "always"] = "everysec") -> Iterator[str]:
    """URL of a fresh server."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, EmbeddedRedis(folder, appendfsync=fsync) as server:
        yield server.url


@contextmanager
def process(target: Any, *arguments: Any) -> Iterator[Pipe]:
    """A process with a pipe to it, once it has said that it is ready."""
    ours, theirs = _processes.Pipe()
    running = _processes.Process(target=target, args=(*arguments, theirs))
    running.start()
    theirs.close()  # so that the death of the process is an EOFError here and not a wait for ever
    try:
        assert ours.recv() == "ready"
        yield ours
    finally:
        running.join(timeout=10)
        running.kill()
        ours.close()


def latency(rate: int, seconds: float) -> tuple[list[int], list[int]]:
    """Latencies and PING times in nanoseconds, without the first fifth of each (connections, caches)."""
    with redis() as url, process(engine_process, url, True) as engine:
        load = Load(url, events=int(rate * seconds), batch=1024, rate=rate)
        with process(publisher_process, load) as publisher:
            publisher.send("go")
            _, pings, _ = publisher.recv()
        engine.send("stop")
        arrivals, _ = engine.recv()
    if len(arrivals) != load.events:
        raise RuntimeError(f"handled events must be {load.events}, was {len(arrivals)}")
    return arrivals[load.events // 5 :], pings[len(pings) // 5 :]


@dataclass(frozen=True)
class Run:
    """Events/s from the first publish to the last signal at the observer; CPU nanoseconds of an event."""

    rate: float
    publisher_cpu: float
    engine_cpu: float


def throughput(load: Load) -> Run:
    """Send a load through."""
    with (
        process(engine_process, load.url, False) as engine,
        process(observer_process, load.url, load.events // SIGNAL_EVERY) as observer,
        process(publisher_process, load) as publisher,
    ):
        publisher.send("go")
        start, _, publisher_cpu = publisher.recv()
        end = observer.recv()
        engine.send("stop")
        _, engine_cpu = engine.recv()
    return Run(load.events / ((end - start) / 1e9), publisher_cpu / load.events, engine_cpu / load.events)


def plain_throughput(load: Load) -> float:
    """Events/s of the same load through the plain program, from the first write to the last signal."""
    with (
        process(peer_engine, load),
        process(peer_observer, load, load.events // SIGNAL_EVERY) as observer,
        process(peer_publisher, load) as publisher,
    ):
        publisher.send("go")
        start = publisher.recv()
        end = observer.recv()
    return load.events / ((end - start) / 1e9)


def redis_benchmark_rate(url: str, events: int) -> float | None:
    """XADD/s of the server's own load generator, pipelined by 256; None where it is not installed."""
    program = shutil.which("redis-benchmark")
    if program is None:
        return None
    port = url.rpartition(":")[2].partition("/")[0]
    payload = "x" * len(CODEC.encode_event(quote(10**18)))
    command = [
        program,
        "-p",
        port,
        "-n",
        str(events),
        "-c",
        "1",
        "-P",
        "256",
        "--csv",
        "XADD",
        "peer",
        "*",
        "d",
        payload,
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return float(lines[-1].split('","')[1])


def measure(chosen: Options) -> Table:
    """Run everything and return the table."""
    runs = 1 if chosen.quick else 5
    table = Table("message bus", peer="Redis PING, redis-benchmark XADD")
    for rate, bar in LATENCIES.items():
        arrivals, pings = latency(rate, 2.0 if chosen.quick else 6.0)
        ours, ping = summarise(arrivals, 1e-3), summarise(pings, 1e-3)
        table.add(f"publish to handler at {rate:,}/s (median)", median_of(ours), "us", peer=ping.p50, bar=bar)
        table.add(f"  PING meanwhile at {rate:,}/s (median)", median_of(ping), "us")
    sizes = {1: 3_000, 64: 150_000, 512: 600_000}
    for batch in BATCHES:
        rows(table, f"through one engine, batches of {batch}", Load("", sizes[batch], batch), runs)
    rows(table, "the same, every commit on disk (fsync always)", Load("", sizes[512], 512), runs, "always")
    beside_plain(table, Load("", sizes[512], 512), runs)
    return table


def beside_plain(table: Table, load: Load, runs: int) -> None:
    """Measure ours and the plain program in turns, each time on a fresh server, and add the medians."""
    ours, plain = [], []
    for _ in range(runs):
        with redis() as url:
            ours.append(throughput(replace(load, url=url)).rate)
        with redis() as url:
            plain.append(plain_throughput(replace(load, url=url)))
    peer = statistics.median(plain)
    name = f"batches of {load.batch} beside plain redis-py"
    table.add(name, median(ours), "events/s", peer=peer, bar=round(SHARE_OF_PLAIN * peer), better="higher")


def rows(table: Table, name: str, load: Load, runs: int, fsync: Literal["everysec", "always"] = "everysec") -> None:
    """Measure a rate and the peer's in turns, each time on a fresh server, and add the medians."""
    ours, peers = [], []
    for _ in range(runs):
        with redis(fsync) as url:
            ours.append(throughput(replace(load, url=url)))
            peers.append(redis_benchmark_rate(url, min(load.events, 200_000)))
    known = [peer for peer in peers if peer is not None]
    peer = statistics.median(known) if known else None
    table.add(name, median([run.rate for run in ours]), "events/s", peer=peer, better="higher")
    if load.batch > 1:
        table.add("  CPU of the publisher, an event", median([run.publisher_cpu for run in ours]), "ns")
        table.add("  CPU of the engine, an event", median([run.engine_cpu for run in ours]), "ns")


def median(samples: list[float]) -> Summary:
    """Median of a few runs."""
    middle = statistics.median(samples)
    return Summary(middle, len(samples), middle)


def median_of(summary: Summary) -> Summary:
    """The same with the median as the headline: means of latencies say more about the machine than about the code."""
    assert summary.p50 is not None
    return replace(summary, value=summary.p50)


def main() -> int:
    chosen = options(__doc__)
    return measure(chosen).finish(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
