"""Workers in real processes that are really killed, and a server that really restarts or forgets everything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.clock import LiveClock
from libs.contracts.topics import DEAD_LETTER
from libs.messagebus import Publisher, RedisTransport, TransportError, new_incarnation
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.transport import START
from libs.messagebus.workers import Job, RetryPolicy, Worker, job, work_queue
from libs.testing.bus_topics import TICKED, Ticked
from libs.testing.servers import redis_server
from tests.faults.worker_process import CODEC, DEADLY, GROUP, REGISTRY, SETTINGS
from tests.support.processes import Child, wait_until

pytestmark = pytest.mark.faults


class Site:
    """A folder in which worker processes leave what they did."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        (folder / "effects").mkdir()
        self.children: list[Child] = []

    def start(self, seconds: float = 0.02) -> Child:
        arguments = (self.url, str(self.folder), str(seconds))
        output = self.folder / f"worker{len(self.children)}"
        child = Child("tests.faults.worker_process", arguments, os.environ, output)
        self.children.append(child)
        return child

    def lines(self, word: str) -> list[list[str]]:
        log = self.folder / "log"
        text = log.read_text() if log.exists() else ""
        return [line.split() for line in text.splitlines() if line.startswith(word)]

    def effects(self) -> set[str]:
        return {path.name for path in (self.folder / "effects").iterdir()}


@contextmanager
def site(folder: Path, url: str) -> Iterator[Site]:
    here = Site(folder, url)
    try:
        yield here
    finally:
        for child in here.children:
            if child.exit_code is None:
                child.kill()


def publish(url: str, *batches: list[float]) -> str:
    """Publish each list as record batches; returns the producer."""

    async def main() -> str:
        transport = RedisTransport(url)
        publisher = Publisher(transport, CODEC, REGISTRY, new_incarnation("p"), LiveClock())
        for prices in batches:
            await publisher.publish_many_wait([Ticked(1, "X", price) for price in prices])
            await publisher.flush()
        await publisher.close()
        await transport.close()
        return publisher.producer

    return asyncio.run(main())


def look(url: str) -> tuple[int, list[Any]]:
    """Entries pending, and dead letters."""

    async def main() -> tuple[int, list[Any]]:
        transport = RedisTransport(url)
        backlog = await work_queue(transport, LiveClock()).backlog(TICKED.stream, GROUP)
        entries = await transport.read({DEAD_LETTER.stream: START}, 100, 0)
        await transport.close()
        left = backlog.pending + (backlog.oldest is not None)
        return left, [letter for entry in entries for letter in CODEC.decode(entry.data).events]

    return asyncio.run(main())


def test_jobs_of_killed_workers_are_claimed_and_done_once_in_effect(tmp_path: Path) -> None:
    with redis_server(appendonly=True) as server, site(tmp_path, server.url) as here:
        producer = publish(server.url, [float(100 + number) for number in range(120)], *([float(x)] for x in range(3)))
        first = here.start()
        wait_until("some jobs are done", lambda: len(here.lines("done")) > 15)
        second = here.start()
        first.kill()
        wait_until("the next one works", lambda: len(here.lines("done")) > 50)
        here.start()
        second.kill()
        wait_until("all jobs are done", lambda: len(here.effects()) == 123)
        wait_until("all are acknowledged", lambda: look(server.url)[0] == 0)
        assert here.effects() == {f"{GROUP}_{producer}:{number}" for number in range(123)}
        assert look(server.url)[1] == []
        # Progress inside the batch survived: none was begun again but those that ran, or had ended in the last round
        # trip, when their worker died.
        again = len(here.lines("began")) - 123
        assert 0 <= again <= 20, here.lines("began")


def test_a_job_that_kills_its_workers_is_given_up_and_its_batch_is_done(tmp_path: Path) -> None:
    with redis_server(appendonly=True) as server, site(tmp_path, server.url) as here:
        publish(server.url, [1.0, 2.0, DEADLY, 4.0, 5.0])
        for _ in range(8):
            child = here.start(0.0)
            wait_until(
                "it has died, or has given the job up",
                lambda child=child: child.exit_code is not None or look(server.url)[1],
            )
            if child.exit_code is None:
                break
        wait_until("the rest is done", lambda: look(server.url)[0] == 0)
        letters = look(server.url)[1]
        assert [(letter.index, letter.attempts, letter.error[:10]) for letter in letters] == [(2, 2, "WorkerDied")]
        assert len(here.effects()) == 4


def in_process(url: str, scenario: Callable[[RedisTransport, Worker, list[float]], Any]) -> None:
    async def main() -> None:
        done: list[float] = []

        async def work(one: Job[Ticked]) -> None:
            await asyncio.sleep(0.001)
            done.append(one.event.price)

        transport, clock = RedisTransport(url), LiveClock()
        routes = [job(TICKED, work, concurrency=4, retry=RetryPolicy(3, 0.1, 0.1))]
        worker = Worker(work_queue(transport, clock), CODEC, REGISTRY, GROUP, routes, clock, settings=SETTINGS)
        async with asyncio.timeout(90):
            task = asyncio.create_task(worker.run())
            await scenario(transport, worker, done)
            worker.stop()
            await task
        await transport.close()

    asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def test_a_restart_of_the_server_loses_no_job_and_keeps_the_group(tmp_path: Path) -> None:
    with redis_server(appendonly=True) as server:
        publish(server.url, [float(number) for number in range(2000)])

        async def scenario(transport: RedisTransport, worker: Worker, done: list[float]) -> None:
            await until(lambda: len(done) > 300)
            await asyncio.to_thread(restart, server)
            await until(lambda: len(set(done)) == 2000)
            assert worker.statistics.groups_recreated == 0
            # What was done is remembered by the worker that did it, although it could not write it down meanwhile.
            assert len(done) == 2000

        in_process(server.url, scenario)
        assert look(server.url) == (0, [])


@pytest.mark.parametrize("version", ["system", "bundled"])
def test_a_flushed_server_is_begun_again_from_the_oldest_entry(version: Any) -> None:
    with redis_server(version) as server:
        publish(server.url, [1.0, 2.0])

        async def scenario(transport: RedisTransport, worker: Worker, done: list[float]) -> None:
            await until(lambda: len(done) == 2)
            await (await transport._pool.writer()).execute("FLUSHALL")
            await asyncio.to_thread(publish, server.url, [3.0, 4.0])
            await until(lambda: len(done) == 4)
            assert worker.statistics.groups_recreated >= 1

        in_process(server.url, scenario)
        assert look(server.url) == (0, [])


def test_a_server_that_refuses_ends_the_worker_with_a_reason() -> None:
    with redis_server(password="secret") as server:
        url = server.url.replace("secret", "wrong")

        async def main() -> None:
            transport, clock = RedisTransport(url), LiveClock()
            worker = Worker(work_queue(transport, clock), CODEC, REGISTRY, GROUP, [job(TICKED, lambda _: None)], clock)
            with pytest.raises(TransportError, match=r"WRONGPASS|password is wrong"):
                await worker.run()
            await transport.close()

        asyncio.run(main())


def restart(server: EmbeddedRedis) -> None:
    server.kill()
    server.start()
