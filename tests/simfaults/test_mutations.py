"""The simulator sees: every bug that is put back on purpose is found, and what found it is told in one command.

Counting from seed 0 each is found within 30 seeds of eight days; what a test runs is the first seed that finds it, for
searching takes a minute. A seed whose meaning changed may no longer find its bug: look for the first that does.
"""

from __future__ import annotations

from datetime import date

import pytest

from services.fleet.simfaults.sweep import Range, explain, told
from tests.simfaults import mutations
from tests.simfaults.mutations import MUTATIONS, Mutation

CHOSEN = Range(date(1998, 6, 1), date(1998, 9, 30), 8)
JUDGE = CHOSEN.judge()
WITHIN = 30
#: The first seed that finds it; 0 where it is not named.
FOUND_AT = {
    mutations.read_a_clock_of_the_machine_in_a_handler: 3,
    mutations.resend_after_recovery_under_a_new_id: 29,
    mutations.resend_an_unanswered_order_under_a_new_id: 17,
    mutations.snapshot_without_working_orders: 1,
    mutations.snapshot_without_reference_prices: 1,
    mutations.retried_commit_lands_twice: 11,
    mutations.failed_commit_taken_for_done: 2,
    mutations.going_on_after_the_log_went_backward: 11,
    mutations.repeated_append_taken_again: 24,
    mutations.put_back_entries_forgotten: 29,
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.__name__)
def test_a_bug_put_back_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = FOUND_AT.get(mutation, 0)
    assert seed < WITHIN
    scenario = JUDGE.scenario(seed)
    mutation(monkeypatch)
    assert JUDGE.judge(scenario).wrong


@pytest.mark.parametrize("seed", sorted({0, *FOUND_AT.values()}))
def test_the_same_seeds_find_nothing_in_the_code_as_it_is(seed: int) -> None:
    assert JUDGE.judge(JUDGE.scenario(seed)).wrong == []


def test_a_failure_is_told_with_the_faults_it_needs_and_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    mutations.retried_commit_lands_twice(monkeypatch)
    failure = explain(JUDGE.judge(JUDGE.scenario(11)), CHOSEN, JUDGE)
    assert len(failure.kept) == 1
    lines = told(failure).splitlines()
    assert lines[0] == "seed 11 fails:"
    assert any("reply_lost" in line or "failover" in line or "outage" in line for line in lines)
    assert lines[-1] == (
        "again: nautilus simulate --faults --seed 11 --from 1998-06-01 --to 1998-09-30 --days 8 "
        f"--keep {failure.kept[0]}"
    )
