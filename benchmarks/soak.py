"""Whether memory stays flat: events through a source, three engines in their hosts and Redis, each its own process.

Run it: `python -m benchmarks.soak [--events 20000000] [--rounds 200]`.

Every round publishes its share, waits until all three engines have handled what is theirs, and takes a snapshot of
each, behind which the streams and journals are trimmed (they keep 8 entries here). Then the memory of the server
(`used_memory`) and the resident memory of every process are read, always at the same point of the round. After the
first quarter (imports, caches, allocator arenas) a line is fitted through the readings by least squares.

Engines give back what the allocator keeps (`malloc_trim`) before they are read: a batch that happened to be large
leaves free memory behind, which is no leak, but reads as a step up.

Flat means: the slope is within three standard errors of nothing, or all it adds up to over the whole run is less than
one part in fifty of the level, or than 1 MiB. The latter are there because what is left of the allocator comes in steps
and not as independent noise: one arena in a run of otherwise equal readings is "significant" and means nothing. Over
twenty million events 1 MiB is a fourteenth of a byte an event.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Any

from redis import Redis

from benchmarks.soak_parts import ENGINES, FEATURES_EVERY, SIGNAL_EVERY, SYMBOLS, engine_process, source_process
from libs.messagebus.redis import EmbeddedRedis

#: Events handled for one quote: itself, its share of a set of features, its share of a signal.
EVENTS_PER_QUOTE = 1 + 1 / FEATURES_EVERY + 1 / (FEATURES_EVERY * SIGNAL_EVERY)
WARM_UP = 0.25
LEVEL_SHARE = 0.02
STEP_BYTES = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
_processes = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Line:
    """A line through readings by least squares.

    Attributes:
        n: Readings.
        level: Their mean, bytes.
        slope: Bytes an event.
        error: Standard error of the slope.
        span: Events from the first reading to the last.
    """

    n: int
    level: float
    slope: float
    error: float
    span: float

    @property
    def growth(self) -> float:
        """Bytes the slope adds up to."""
        return self.slope * self.span

    @property
    def is_flat(self) -> bool:
        """See the module."""
        allowed = max(3 * self.error * self.span, LEVEL_SHARE * self.level, STEP_BYTES)
        return abs(self.growth) <= allowed


def fit(events: Sequence[float], readings: Sequence[float]) -> Line:
    """Ordinary least squares; standard error of the slope from the residuals with n - 2 degrees of freedom.

    Raises:
        ValueError: If there are fewer than three readings.
    """
    n = len(events)
    if n < 3:
        raise ValueError(f"readings must be at least 3, was {n}; run more rounds")
    middle, level = sum(events) / n, sum(readings) / n
    spread = sum((x - middle) ** 2 for x in events)
    slope = sum((x - middle) * (y - level) for x, y in zip(events, readings, strict=True)) / spread
    rest = sum((y - level - slope * (x - middle)) ** 2 for x, y in zip(events, readings, strict=True))
    return Line(n, level, slope, (rest / (n - 2) / spread) ** 0.5, events[-1] - events[0])


@dataclass
class Soak:
    """Readings by process, beside the events handled until then."""

    seconds: float = 0.0
    events: list[float] = field(default_factory=list)
    bytes: dict[str, list[float]] = field(default_factory=dict)

    def lines(self) -> dict[str, Line]:
        """A line each, without the warm-up."""
        first = int(len(self.events) * WARM_UP)
        return {name: fit(self.events[first:], readings[first:]) for name, readings in self.bytes.items()}

    def table(self) -> str:
        """What is printed."""
        rows = [f"{'':10} {'n':>4} {'level MB':>9} {'slope B/event':>14} {'std error':>11} {'growth MB':>10}"]
        for name, line in self.lines().items():
            verdict = "flat" if line.is_flat else "NOT FLAT"
            rows.append(
                f"{name:10} {line.n:>4} {line.level / 1e6:>9.2f} {line.slope:>+14.5f} {line.error:>11.5f} "
                f"{line.growth / 1e6:>+10.3f} {verdict}"
            )
        rate = self.events[-1] / self.seconds
        rows.append(f"{self.events[-1]:,.0f} events in {self.seconds:.0f} s, {rate:,.0f} events/s")
        return "\n".join(rows)


@contextmanager
def _process(target: Any, *arguments: Any) -> Iterator[tuple[Pipe, int]]:
    ours, theirs = _processes.Pipe()
    running = _processes.Process(target=target, args=(*arguments, theirs))
    running.start()
    theirs.close()  # so that the death of the process is an EOFError here and not a wait for ever
    try:
        assert ours.recv() == "ready"
        assert running.pid is not None
        yield ours, running.pid
    finally:
        running.join(timeout=10)
        running.kill()
        ours.close()


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as facts:
        return int(facts.read().split()[1]) * _PAGE


def _ask(pipe: Pipe, question: str) -> int:
    pipe.send(question)
    return int(pipe.recv())


def soak(events: int, rounds: int, found: Soak | None = None) -> Soak:
    """Drive ``events`` events through, in ``rounds`` equal rounds; the readings go to ``found`` as they are made."""
    quotes = max(1, round(events / EVENTS_PER_QUOTE / rounds))
    found = Soak() if found is None else found
    with ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))
        redis = held.enter_context(EmbeddedRedis(folder))
        engines = {name: held.enter_context(_process(engine_process, redis.url, name)) for name in ENGINES}
        observer = held.enter_context(Redis(port=redis.port))
        source, _ = held.enter_context(_process(source_process, redis.url))
        started, published = time.perf_counter(), 0
        try:
            for _ in range(rounds):
                source.send(quotes)
                assert source.recv() == "done"
                published += quotes
                counts = _wait_until_handled({name: pipe for name, (pipe, _) in engines.items()}, published)
                for pipe, _ in engines.values():
                    _ask(pipe, "snapshot")
                found.events.append(sum(counts.values()))
                found.bytes.setdefault("redis", []).append(int(observer.info("memory")["used_memory"]))
                for name, (_, pid) in engines.items():
                    found.bytes.setdefault(name, []).append(_resident(pid))
                found.seconds = time.perf_counter() - started
        finally:
            source.send(0)
            for pipe, _ in engines.values():
                pipe.send("stop")
    return found


def expected(quotes: int) -> dict[str, int]:
    """What each engine has handled once ``quotes`` quotes went round all symbols in turn."""
    each = [quotes // len(SYMBOLS) + (number < quotes % len(SYMBOLS)) for number in range(len(SYMBOLS))]
    features = [count // FEATURES_EVERY for count in each]
    signals = [count // SIGNAL_EVERY for count in features]
    return {"features": quotes, "strategy": sum(features), "portfolio": sum(signals)}


def _wait_until_handled(pipes: dict[str, Pipe], quotes: int) -> dict[str, int]:
    wanted = expected(quotes)
    while True:
        counts = {name: _ask(pipe, "count") for name, pipe in pipes.items()}
        if counts == wanted:
            return counts
        if any(counts[name] > wanted[name] for name in wanted):
            raise RuntimeError(f"engines must have handled {wanted}, was {counts}: something was doubled")
        time.sleep(0.005)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    chosen = parser.parse_args()
    found = Soak()
    try:
        soak(chosen.events, chosen.rounds, found)
    except KeyboardInterrupt:
        print("interrupted; what was read until then:")
    print(found.table())
    return 0 if all(line.is_flat for line in found.lines().values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
