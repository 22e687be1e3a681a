"""Recovery: what the journal costs, how fast it is replayed, and how soon a killed engine is ready again.

Journal: commits of the same batches with and without their journal entry (and the hash of the outputs in it), in turns
on one server, the next batch handled while a commit is in flight, as a host does it. The cost is the share of commits a
second that the entry takes.

Replay: a host of a counting engine handles a filled stream, in batches as large as it finds them, and is killed; the
next host starts without a snapshot, so everything is replayed and every hash compared. The peer is the live run before.

Ready: `python -m services.portfolio` under a steady load of quotes, killed with SIGKILL when its last snapshot is about
to be ten seconds old, and started again at once while the load goes on; from the start of the process to
`/health/ready`. Python's own start and the imports are most of it, as the peer shows: the same start on an empty bus.
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import uvloop

from benchmarks.recovery_parts import (
    EngineProcess,
    commit_seconds,
    connected,
    fill,
    live_seconds,
    no_journal,
    publish_quotes,
    replay_seconds,
)
from benchmarks.table import Options, Summary, Table, options, summarise
from libs.messagebus.redis import EmbeddedRedis

REPLAY_BAR = 200_000
READY_BAR_SECONDS = 3.0
JOURNAL_BAR_PERCENT = 10.0
SNAPSHOT_SECONDS = 10.0
_QUOTES_A_SECOND = 5_000


@contextmanager
def redis() -> Iterator[str]:
    """URL of a fresh server."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, EmbeddedRedis(folder) as server:
        yield server.url


async def journal_rates(url: str, batch: int, commits: int, rounds: int) -> list[tuple[float, float]]:
    """Commits a second with and without the journal, in turns, each first every other time; round 0 is thrown away."""
    taken: list[tuple[float, float]] = []
    async with connected(url, f"{{cost{batch}}}") as transport:
        await fill(transport, batch * commits, batch)
        for turn in range(rounds + 1):
            rates: dict[bool, float] = {}
            for with_journal in (turn % 2 == 0, turn % 2 == 1):
                with nullcontext() if with_journal else no_journal():
                    seconds = await commit_seconds(transport, f"r{turn}{with_journal}", commits, batch)
                rates[with_journal] = len(seconds) / sum(seconds)
            if turn:
                taken.append((rates[True], rates[False]))
    return taken


async def replay_rates(url: str, batch: int, events: int, rounds: int) -> tuple[list[float], list[float]]:
    """Events a second, replayed and live, of each round."""
    replayed, live = [], []
    for turn in range(rounds):
        async with connected(url, f"{{replay{batch}-{turn}}}") as transport:
            await fill(transport, events, batch)
            live.append(events / await live_seconds(transport, events))
            replayed.append(events / await replay_seconds(transport, events))
    return replayed, live


@dataclass(frozen=True)
class Starts:
    """Starts of a real process.

    Attributes:
        seconds, cpu_seconds: From start to ready, after each kill.
        replayed: Commits each had to do again.
        empty_seconds: The same start with nothing to recover.
    """

    seconds: list[float]
    cpu_seconds: list[float]
    replayed: list[int]
    empty_seconds: list[float]


async def starts(url: str, rounds: int) -> Starts:
    """Kill and start a loaded engine; in between start one on an empty bus."""
    told = asyncio.Event()
    loading = asyncio.create_task(publish_quotes(url, _QUOTES_A_SECOND, told))
    found = Starts([], [], [], [])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        engine = EngineProcess(url, folder, SNAPSHOT_SECONDS)
        try:
            await asyncio.to_thread(engine.start)
            for _ in range(rounds):
                await _until_old_snapshot(engine)
                engine.end(signal.SIGKILL)
                seconds, cpu_seconds = await asyncio.to_thread(engine.start)
                counters = (await asyncio.to_thread(engine.ask, "/health")).get("counters", {})
                found.seconds.append(seconds)
                found.cpu_seconds.append(cpu_seconds)
                found.replayed.append(counters["replayed_at_start"])
                found.empty_seconds.append(await _start_on_an_empty_bus(folder))
        finally:
            engine.end(signal.SIGKILL)
            told.set()
            await loading
    return found


async def _start_on_an_empty_bus(folder: str) -> float:
    with redis() as url:
        engine = EngineProcess(url, folder, SNAPSHOT_SECONDS)
        try:
            return (await asyncio.to_thread(engine.start))[0]
        finally:
            engine.end(signal.SIGTERM)


async def _until_old_snapshot(engine: EngineProcess) -> None:
    """Return when the next snapshot is due within half a second."""
    age = None
    while age is None or age < SNAPSHOT_SECONDS - 0.5:
        await asyncio.sleep(0.05)
        age = (await asyncio.to_thread(engine.ask, "/status")).get("snapshot", {}).get("age_seconds")


def measure(chosen: Options) -> Table:
    """Run everything and return the table."""
    table = Table("journal and recovery", peer="without a journal; live; an empty bus")
    rounds = 3 if chosen.quick else 15
    for batch, commits in ((1, 1_500), (64, 1_000), (512, 400)):
        with redis() as url:
            rates = uvloop.run(journal_rates(url, batch, commits // (3 if chosen.quick else 1), rounds))
        ours, peer = (statistics.median(column) for column in zip(*rates, strict=True))
        cost = statistics.median(100 * (1 - with_it / without) for with_it, without in rates)
        table.add(f"commits of {batch} events with their journal", Summary(ours, rounds), "commits/s", peer=peer,
                  better="higher")  # fmt: skip
        table.add("  what the journal takes of them", Summary(cost, rounds), "%", bar=JOURNAL_BAR_PERCENT)
    for batch, events in ((512, 512 * 400), (16, 16 * 4_000)):
        with redis() as url:
            replayed, live = uvloop.run(replay_rates(url, batch, events, 1 if chosen.quick else 5))
        bar = REPLAY_BAR if batch == 512 else None
        table.add(f"replay of the journal, entries of {batch} events", summarise(replayed), "events/s",
                  peer=summarise(live).value, bar=bar, better="higher")  # fmt: skip
    with redis() as url:
        found = uvloop.run(starts(url, 1 if chosen.quick else 5))
    table.add("ready after kill -9, snapshot 10 s old", summarise(found.seconds), "s",
              peer=summarise(found.empty_seconds).value, bar=READY_BAR_SECONDS)  # fmt: skip
    table.add("  CPU until then", summarise(found.cpu_seconds), "s")
    table.add("  commits replayed", summarise(found.replayed), "commits")
    return table


def main() -> int:
    chosen = options(__doc__)
    began = time.perf_counter()
    table = measure(chosen)
    print(f"took {time.perf_counter() - began:.0f} s")
    return table.finish(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
