"""The fleet under simulated faults: two dozen fixed seeds, and some that nobody has run before."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import date

import pytest

from services.fleet.simfaults.faults import OF_THE_VENUE, Fault, Kind
from services.fleet.simfaults.scenario import Scenario
from services.fleet.simfaults.shrink import shrink
from services.fleet.simfaults.sweep import Range, explain, told
from services.fleet.simfaults.verdict import Judge, Outcome

#: Short runs: a fault every step or two, and some dozen orders each.
CHOSEN = Range(date(1998, 6, 1), date(1998, 9, 30), 6)
JUDGE = CHOSEN.judge()
FIXED = range(24)
FRESH = tuple(secrets.randbelow(2**31) for _ in range(3))


def _fails(outcome: Outcome, judge: Judge = JUDGE) -> str:
    return told(explain(outcome, CHOSEN, judge)) if outcome.wrong else ""


@pytest.mark.parametrize("seed", FIXED)
def test_a_fixed_seed(seed: int) -> None:
    outcome = JUDGE.judge(JUDGE.scenario(seed))
    assert not outcome.wrong, _fails(outcome)


@pytest.mark.parametrize("number", range(len(FRESH)))
def test_a_fresh_seed(number: int) -> None:
    """Its seed is no part of the test's name, or no two runs of the suite would have the same tests."""
    print(f"fresh seed {FRESH[number]}")
    outcome = JUDGE.judge(JUDGE.scenario(FRESH[number]))
    assert not outcome.wrong, _fails(outcome)


def test_the_same_seed_is_the_same_run() -> None:
    """Not to be taken for granted: one set iterated, one clock of the machine read, and a seed means nothing."""
    runs = [JUDGE.judge(JUDGE.scenario(9)) for _ in range(2)]
    facts = [(one.fired, one.lives, one.events, one.commits, one.orders, one.fills) for one in runs]
    assert facts[0] == facts[1]
    assert facts[0][0]


def calm(*faults: Fault) -> Scenario:
    """A run with these faults and nothing else."""
    return replace(
        JUDGE.scenario(1), days=6, is_free=False, is_lockstep=True, snapshot_seconds=0.05, reading_ns=0, actions=(),
        faults=faults,
    )  # fmt: skip


def test_faults_really_happen() -> None:
    faults = (
        Fault("crash_before", "portfolio", "commit", 9),
        Fault("crash_after", "strategy", "commit", 9),
        Fault("crash_handling", "risk", "handle", 9),
        Fault("restart", "features", "commit", 5),
        Fault("frozen", "ml", "commit", 6, 1.5, 1),
        Fault("frozen", "factor", "commit", 12, 1.5, 2),
        Fault("failover", "", "write", 150, 0.0, 5),
    )
    outcome = JUDGE.judge(calm(*faults))
    assert not outcome.wrong, outcome.wrong
    assert sorted(map(str, outcome.fired)) == sorted(map(str, faults))
    # Ten at first, one more for each fault, and after the failover whoever had seen what was lost.
    assert outcome.lives > 10 + len(faults)


@pytest.mark.parametrize("kind", sorted(OF_THE_VENUE))
def test_faults_of_the_venue_change_what_happens_in_both_runs(kind: Kind) -> None:
    outcome = JUDGE.judge(calm(*(Fault(kind, "", "order", number, 0.0, 2) for number in range(1, 9))))
    assert not outcome.wrong, outcome.wrong
    assert outcome.events != JUDGE.judge(calm()).events


def test_a_lost_log_is_noticed_by_whoever_has_seen_more() -> None:
    outcome = JUDGE.judge(calm(Fault("failover", "", "write", 120, 0.0, 40)))
    assert not outcome.wrong, outcome.wrong
    assert outcome.lives > 12


@pytest.mark.parametrize("needed", [(), (7,), (3, 12), (0, 1, 19)])
def test_shrinking_finds_the_faults_that_are_needed(needed: tuple[int, ...]) -> None:
    assert shrink(range(20), lambda part: set(needed) <= set(part)) == list(needed)


def test_a_shrunk_list_of_a_used_up_budget_still_fails() -> None:
    needed = {1, 8, 15, 22}
    assert needed <= set(shrink(range(30), lambda part: needed <= set(part), budget=9))
