"""``nautilus simulate --faults``: run seeds, print what they came to, exit 1 when one failed."""

from __future__ import annotations

import secrets
import sys
from datetime import datetime

from libs.engine.errors import SettingsError
from services.fleet.simfaults.sweep import FIRST, LAST, LENGTH, Range, Tally, explain, run_seeds, told
from services.marketdata.errors import DatasetError

#: Failing seeds that are shrunk; the others are named.
_MOST_EXPLAINED = 3
_DEFAULT_SEEDS = 24


def simulate_faults(
    seeds: int | None,
    seed: int | None,
    first: datetime | None,
    last: datetime | None,
    days: int | None,
    keep: str | None,
) -> int:
    """Run and print; returns the exit code: 1 when a seed failed, 2 when it could not run.

    Args:
        seeds: How many; by default the one given, or two dozen.
        seed: The first one, None = a fresh one (it is printed).
        first, last: The days to choose from, the last one included.
        days: Timestamps of each run.
        keep: Indices of the faults of a single seed that are kept, with commas between them, ``none`` for none.
    """
    chosen = Range(first.date() if first else FIRST, last.date() if last else LAST, days or LENGTH)
    try:
        if keep is not None:
            return _run_one(seed, seeds, chosen, keep)
        count = seeds or (_DEFAULT_SEEDS if seed is None else 1)
        return _run_many(secrets.randbelow(2**31) if seed is None else seed, count, chosen)
    except (SettingsError, DatasetError) as error:
        print(f"nautilus simulate: {error}", file=sys.stderr)
        return 2


def _run_many(start: int, seeds: int, chosen: Range) -> int:
    print(f"seeds {start} to {start + seeds - 1}, {chosen.length} days each, from {chosen.first} to {chosen.last}")
    tally = Tally()
    for outcome in run_seeds(range(start, start + seeds), chosen):
        tally.add(outcome)
        if outcome.wrong:
            print(f"seed {outcome.scenario.seed} fails: {outcome.wrong[0]}", flush=True)
        elif tally.runs % 50 == 0:
            print(f"{tally.runs} of {seeds} done", flush=True)
    print("\n".join(tally.lines()))
    if not tally.failed:
        return 0
    judge = chosen.judge()
    for outcome in tally.failed[:_MOST_EXPLAINED]:
        print(told(explain(outcome, chosen, judge)), flush=True)
    return 1


def _run_one(seed: int | None, seeds: int | None, chosen: Range, keep: str) -> int:
    if seed is None or seeds not in (None, 1):
        print("nautilus simulate: --keep names faults of one run, give --seed and no --seeds", file=sys.stderr)
        return 2
    judge = chosen.judge()
    whole = judge.scenario(seed)
    parts = [] if keep == "none" else keep.split(",")
    kept = [int(part) for part in parts if part.isdecimal() and int(part) < len(whole.faults)]
    if len(kept) != len(parts):
        print(f"nautilus simulate: --keep must name faults 0 to {len(whole.faults) - 1}, was {keep}", file=sys.stderr)
        return 2
    outcome = judge.judge(whole.keeping(kept))
    for fault in outcome.scenario.faults:
        print(f"{'happened' if fault in outcome.fired else 'not reached'}: {fault}")
    for wrong in outcome.wrong:
        print(f"wrong: {wrong}")
    how = "failed" if outcome.wrong else "sound"
    print(f"{outcome.events} events, {outcome.orders} orders, {outcome.fills} fills: {how}")
    return 1 if outcome.wrong else 0
