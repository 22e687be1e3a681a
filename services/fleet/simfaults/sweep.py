"""Many seeds on the cores at hand; what fails is shrunk and printed as one command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

from libs.clock.live import monotonic_ns
from services.fleet.simfaults.days import Days
from services.fleet.simfaults.faults import MEANINGS
from services.fleet.simfaults.shrink import shrink
from services.fleet.simfaults.verdict import Judge, Outcome
from services.marketdata.settings import MarketDataSettings

#: Where seeds take their days from unless told otherwise, and how many timestamps each has.
FIRST, LAST, LENGTH = date(1998, 6, 1), date(1999, 5, 28), 15
_CHUNK = 4


@dataclass(frozen=True, slots=True)
class Range:
    """What seeds choose from.

    Attributes:
        length: Timestamps of one run.
    """

    first: date = FIRST
    last: date = LAST
    length: int = LENGTH

    def settings(self) -> MarketDataSettings:
        """The settings that read these days."""
        return MarketDataSettings(start_date=self.first, end_date=self.last + timedelta(days=1))

    def judge(self) -> Judge:
        """Read the days and make a judge.

        Raises:
            DatasetError: If the data is wrong, or there is none between the dates.
        """
        settings = self.settings()
        return Judge(Days.load(settings), settings, self.length)

    def options(self) -> str:
        """How the command line is told of it."""
        told = f" --from {self.first} --to {self.last}" if (self.first, self.last) != (FIRST, LAST) else ""
        return f"{told} --days {self.length}" if self.length != LENGTH else told


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that failed, shrunk.

    Attributes:
        kept: Indices of the faults that are needed; all, where less did not fail the same way.
    """

    outcome: Outcome
    kept: list[int]
    command: str


def run_seeds(seeds: Sequence[int], chosen: Range, workers: int = 0) -> Iterator[Outcome]:
    """Outcomes in the order of ``seeds``.

    Args:
        workers: Processes, 0 = one a core; with 1 everything is done here.
    """
    count = workers or len(os.sched_getaffinity(0))
    if count == 1 or len(seeds) <= _CHUNK:
        judge = chosen.judge()
        yield from (judge.judge(judge.scenario(seed)) for seed in seeds)
        return
    with ProcessPoolExecutor(count) as pool:
        chunks = [(seeds[start : start + _CHUNK], chosen) for start in range(0, len(seeds), _CHUNK)]
        for outcomes in pool.map(_run_chunk, chunks):
            yield from outcomes


_judges: dict[Range, Judge] = {}


def _run_chunk(work: tuple[Sequence[int], Range]) -> list[Outcome]:
    seeds, chosen = work
    if chosen not in _judges:
        _judges[chosen] = chosen.judge()
    judge = _judges[chosen]
    return [judge.judge(judge.scenario(seed)) for seed in seeds]


def explain(outcome: Outcome, chosen: Range, judge: Judge) -> Failure:
    """Shrink the faults of a run that failed."""
    whole = judge.scenario(outcome.scenario.seed)
    fired = [index for index, fault in enumerate(whole.faults) if fault in outcome.fired or not fault.engine]

    def fails(kept: Sequence[int]) -> bool:
        return bool(judge.judge(whole.keeping(kept)).wrong)

    kept = shrink(fired, fails) if fails(fired) else list(range(len(whole.faults)))
    command = f"nautilus simulate --faults --seed {whole.seed}{chosen.options()}"
    if len(kept) < len(whole.faults):
        command += f" --keep {','.join(map(str, kept)) or 'none'}"
    return Failure(judge.judge(whole.keeping(kept)), kept, command)


def told(failure: Failure) -> str:
    """A failure as it is printed: what is wrong, what made it so, and how to see it again."""
    scenario = failure.outcome.scenario
    lines = [f"seed {scenario.seed} fails:", *(f"  {wrong}" for wrong in failure.outcome.wrong[:5])]
    lines.append("faults needed:" if scenario.faults else "no fault is needed:")
    lines.extend(f"  {fault}" for fault in scenario.faults)
    lines.append(f"again: {failure.command}")
    return "\n".join(lines)


class Tally:
    """What many runs came to."""

    def __init__(self) -> None:
        self.started_ns = monotonic_ns()
        self.runs = self.days = self.events = self.orders = self.fills = self.lives = self.free = 0
        self.fired: dict[str, int] = dict.fromkeys(MEANINGS, 0)
        self.failed: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        """Count one run."""
        self.runs += 1
        self.days += outcome.scenario.days
        self.events += outcome.events
        self.orders += outcome.orders
        self.fills += outcome.fills
        self.lives += outcome.lives
        self.free += outcome.scenario.is_free
        for fault in outcome.fired:
            self.fired[fault.kind] += 1
        if outcome.wrong:
            self.failed.append(outcome)

    def lines(self) -> list[str]:
        """The summary."""
        seconds = (monotonic_ns() - self.started_ns) / 1e9
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.fired.items())
        compared = self.runs - self.free
        pace = f"{self.days / seconds:,.0f} days/s, {self.events / seconds:,.0f} events/s"
        return [
            f"{self.runs} seeds, {len(self.failed)} failed; {compared} compared with undisturbed, {self.free} free",
            f"{self.days} simulated days, {self.events} events published, {self.orders} orders, {self.fills} fills",
            f"{self.lives} processes started in {seconds:.1f} s: {pace}",
            f"faults that came about: {kinds}",
        ]
