"""A worker in a process of its own, for tests that kill it: each job adds one line to a file, after a while.

``python -m tests.faults.worker_process URL FOLDER SECONDS``: writes ``began`` before and ``done`` after each job, and
keeps the effects in a folder in which every idempotency key exists once, as a unique column would.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from libs.clock import LiveClock
from libs.contracts.topics import DEAD_LETTER
from libs.messagebus import Codec, RedisTransport, TopicRegistry
from libs.messagebus.workers import Job, RetryPolicy, Worker, WorkerSettings, job, work_queue
from libs.testing.bus_topics import TICKED, Ticked

TOPICS = [TICKED, DEAD_LETTER]
REGISTRY = TopicRegistry.of(TOPICS)
CODEC = Codec(TOPICS)
GROUP = "g"
SETTINGS = WorkerSettings(visibility_seconds=1.0, block_ms=100)
#: Of this job nobody returns.
DEADLY = 13.0


async def main(url: str, folder: Path, seconds: float) -> None:
    async def work(one: Job[Ticked]) -> None:
        with (folder / "log").open("a") as log:
            log.write(f"began {one.event.price:g} {one.attempt} {os.getpid()}\n")
        if one.event.price == DEADLY:
            os.kill(os.getpid(), 9)
        await asyncio.sleep(seconds)
        effect = folder / "effects" / one.idempotency_key.replace("/", "_")
        try:
            effect.touch(exist_ok=False)
        except FileExistsError:
            return
        with (folder / "log").open("a") as log:
            log.write(f"done {one.event.price:g} {one.attempt} {os.getpid()}\n")

    transport, clock = RedisTransport(url), LiveClock()
    retry = RetryPolicy(max_attempts=2, base_seconds=0.1, max_seconds=0.2)
    routes = [job(TICKED, work, concurrency=2, retry=retry)]
    await Worker(work_queue(transport, clock), CODEC, REGISTRY, GROUP, routes, clock, settings=SETTINGS).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
