"""``nautilus simulate --faults``: run seeds, print what they came to, exit 1 when one failed."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from datetime import date

from services.fleet.simfaults.sweep import FIRST, LAST, LENGTH, Range, Tally, explain, run_seeds, told

#: Failing seeds that are shrunk; the others are named.
_MOST_EXPLAINED = 3


def run_faults(
    *,
    seeds: int,
    seed: int | None,
    first: date | None,
    last: date | None,
    days: int | None,
    keep: str | None,
) -> int:
    """Run and print; returns the exit code.

    Args:
        seeds: How many.
        seed: The first one, None = a fresh one (it is printed).
        keep: Indices of the faults of a single seed that are kept, with commas between them, ``none`` for none.

    Raises:
        DatasetError, SettingsError: If there are no such days.
    """
    chosen = Range(first or FIRST, last or LAST, days or LENGTH)
    if keep is not None:
        if seed is None or seeds != 1:
            print("nautilus simulate: --keep needs --seed and no --seeds; it names faults of one run", file=sys.stderr)
            return 2
        return _run_one(seed, chosen, keep)
    start = secrets.randbelow(2**31) if seed is None else seed
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


def _run_one(seed: int, chosen: Range, keep: str) -> int:
    judge = chosen.judge()
    whole = judge.scenario(seed)
    kept: Sequence[int] = [] if keep == "none" else [int(part) for part in keep.split(",")]
    wrong_index = [index for index in kept if not 0 <= index < len(whole.faults)]
    if wrong_index:
        print(f"nautilus simulate: --keep must name faults 0 to {len(whole.faults) - 1}, was {keep}", file=sys.stderr)
        return 2
    outcome = judge.judge(whole.keeping(kept))
    for fault in outcome.scenario.faults:
        print(f"{'happened' if fault in outcome.fired else 'not reached'}: {fault}")
    for wrong in outcome.wrong:
        print(f"wrong: {wrong}")
    print(
        f"{outcome.events} events, {outcome.orders} orders, {outcome.fills} fills: {'failed' if outcome.wrong else 'sound'}"
    )
    return 1 if outcome.wrong else 0
