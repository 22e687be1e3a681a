"""Workers on the message bus: trivial jobs done and acknowledged, one worker process, beside two peers.

A backlog of 96-byte quotes lies on a fresh Redis (append-only file on, as in the product). One process with one worker
does them all; the time runs from the first look at the stream to the last acknowledgement on the server.

*Ours* acknowledges job by job in effect: whoever takes over from a killed worker finds what was done, also inside a
record batch (tests/faults/test_workers.py), and each job has its retries, its dead letter and its sign of life. *Tuned
redis-py* is the loop somebody writes who knows Redis: one entry a job, msgspec, 256 entries a read, one XACK for all of
them; it does up to 255 jobs again after a death and has no retries. *FastStream* acknowledges each message; it is
measured where it is installed (`pip install faststream[redis]`), and "not measured" otherwise.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from typing import Any

from redis import Redis

from benchmarks.bus import median, process, redis
from benchmarks.bus_parts import quote
from benchmarks.table import Options, Table, options
from libs.clock import LiveClock
from libs.contracts.market import QuoteReceived
from libs.contracts.topics import CODEC, QUOTE, REGISTRY
from libs.messagebus import Publisher, RedisTransport
from libs.messagebus.workers import Job, Worker, job, work_queue

GROUP = "bench"
#: Jobs of one run, events of a record batch.
BACKLOGS = {"batches of 256": (100_000, 256), "one event an entry": (20_000, 1)}
PEER_JOBS, FASTSTREAM_JOBS = 40_000, 5_000
#: Least times FastStream's rate that is promised, at batches of 256.
TIMES_FASTSTREAM = 5.0


def fill(url: str, jobs: int, batch: int) -> None:
    """Publish a backlog in record batches."""

    async def main() -> None:
        transport = RedisTransport(url)
        publisher = Publisher(transport, CODEC, REGISTRY, "filler", LiveClock(), max_batch=batch, max_buffer=batch)
        event = quote(1)
        for first in range(0, jobs, batch):
            await publisher.publish_many_wait([event] * min(batch, jobs - first))
        await publisher.close()
        await transport.close()

    asyncio.run(main())


def fill_plain(url: str, jobs: int) -> None:
    """One entry a job, for the peers."""
    client, data = Redis.from_url(url), CODEC.encode_event(quote(1))
    for first in range(0, jobs, 256):
        with client.pipeline(transaction=False) as pipeline:
            for _ in range(min(256, jobs - first)):
                pipeline.xadd("plain", {"d": data})
            pipeline.execute()


def worker_process(url: str, jobs: int, awaited: bool, pipe: Pipe) -> None:
    """Do ``jobs`` jobs with our worker; sends nanoseconds."""

    async def main() -> int:
        transport, clock = RedisTransport(url), LiveClock()
        await transport.connect()
        queue, seen = work_queue(transport, clock), 0

        def plain(_: Job[QuoteReceived]) -> None:
            nonlocal seen
            seen += 1

        async def coroutine(_: Job[QuoteReceived]) -> None:
            nonlocal seen
            seen += 1

        worker = Worker(queue, CODEC, REGISTRY, GROUP, [job(QUOTE, coroutine if awaited else plain)], clock)
        start = time.perf_counter_ns()
        running = asyncio.create_task(worker.run())
        while seen < jobs or (await queue.backlog(QUOTE.stream, GROUP)).pending:  # noqa: ASYNC110  # it is on a server
            await asyncio.sleep(0.001)
        taken = time.perf_counter_ns() - start
        worker.stop()
        await running
        await transport.close()
        return taken

    pipe.send("ready")
    pipe.recv()
    pipe.send(asyncio.run(main()))


def tuned_process(url: str, jobs: int, _: bool, pipe: Pipe) -> None:
    """The same jobs by hand on redis-py; sends nanoseconds."""
    client = Redis.from_url(url)
    client.xgroup_create("plain", GROUP, "0")
    decode, seen = CODEC.decode_event, 0
    pipe.send("ready")
    pipe.recv()
    start = time.perf_counter_ns()
    while seen < jobs:
        for _stream, entries in client.xreadgroup(GROUP, "c", {"plain": ">"}, count=256, block=1_000) or ():
            for _id, fields in entries:
                decode(fields[b"d"])
                seen += 1
            client.xack("plain", GROUP, *(entry_id for entry_id, _fields in entries))
    pipe.send(time.perf_counter_ns() - start)


def faststream_process(url: str, jobs: int, _: bool, pipe: Pipe) -> None:
    """The same jobs by FastStream, bytes in, acknowledged each; sends nanoseconds."""
    from faststream.redis import RedisBroker, StreamSub

    async def main() -> int:
        broker = RedisBroker(url, logger=None)
        done, seen = asyncio.Event(), 0

        @broker.subscriber(stream=StreamSub("plain", group=GROUP, consumer="c", last_id=">", max_records=256))
        async def handle(body: bytes) -> None:
            nonlocal seen
            CODEC.decode_event(body)
            seen += 1
            if seen == jobs:
                done.set()

        client: Any = Redis.from_url(url)
        start = time.perf_counter_ns()
        await broker.start()
        await done.wait()
        while client.xpending("plain", GROUP)["pending"]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        taken = time.perf_counter_ns() - start
        await broker.stop()
        return taken

    logging.disable(logging.CRITICAL)
    pipe.send("ready")
    pipe.recv()
    pipe.send(asyncio.run(main()))


def fill_faststream(url: str, jobs: int) -> None:
    """Messages by FastStream's own publisher, so that they are as it wants them."""
    from faststream.redis import RedisBroker

    async def main() -> None:
        broker, data = RedisBroker(url, logger=None), CODEC.encode_event(quote(1))
        await broker.connect()
        for first in range(0, jobs, 100):
            await asyncio.gather(*(broker.publish(data, stream="plain") for _ in range(min(100, jobs - first))))
        await broker.stop()

    Redis.from_url(url).xgroup_create("plain", GROUP, "0", mkstream=True)
    asyncio.run(main())


def rate(fill_it: Callable[[str], None], target: Callable[..., None], jobs: int, awaited: bool = False) -> float:
    """Jobs/s of one process on a fresh server."""
    with redis() as url:
        fill_it(url)
        with process(target, url, jobs, awaited) as worker:
            worker.send("go")
            return jobs / (worker.recv() / 1e9)


def measure(chosen: Options) -> Table:
    """Run everything in turns and return the table."""
    runs, share = (1, 0.2) if chosen.quick else (5, 1.0)
    has_faststream = importlib.util.find_spec("faststream") is not None
    rates: dict[str, list[float]] = {}

    def note(name: str, fill_it: Callable[[str], None], target: Callable[..., None], jobs: int, **more: bool) -> None:
        rates.setdefault(name, []).append(rate(fill_it, target, jobs, **more))

    for _ in range(runs):
        for name, (jobs, batch) in BACKLOGS.items():
            count = int(jobs * share)
            note(name, lambda url, n=count, b=batch: fill(url, n, b), worker_process, count)
        count = int(BACKLOGS["batches of 256"][0] * share)
        note("coroutines", lambda url, n=count: fill(url, n, 256), worker_process, count, awaited=True)
        count = int(PEER_JOBS * share)
        note("tuned", lambda url, n=count: fill_plain(url, n), tuned_process, count)
        if has_faststream:
            count = int(FASTSTREAM_JOBS * share)
            note("faststream", lambda url, n=count: fill_faststream(url, n), faststream_process, count)
    table = Table("workers", peer="FastStream; tuned redis-py")
    rival = median(rates["faststream"]).value if has_faststream else None
    tuned = median(rates["tuned"]).value
    bar = TIMES_FASTSTREAM * rival if rival else None
    for name in BACKLOGS:
        table.add(
            f"jobs, {name}, beside FastStream", median(rates[name]), "jobs/s", peer=rival, bar=bar, better="higher"
        )
        table.add("  beside tuned redis-py", median(rates[name]), "jobs/s", peer=tuned, better="higher")
    table.add(
        "jobs that are coroutines, batches of 256", median(rates["coroutines"]), "jobs/s", peer=rival, better="higher"
    )
    return table


def main() -> int:
    """Command line."""
    chosen = options(__doc__)
    return measure(chosen).finish(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
