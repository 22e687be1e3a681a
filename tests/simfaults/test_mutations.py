"""The simulator sees: every bug that is put back on purpose is found, and what finds it is told in one command."""

from __future__ import annotations

from datetime import date

import pytest

from services.fleet.simfaults.sweep import Range
from tests.simfaults.mutations import MUTATIONS, Mutation

CHOSEN = Range(date(1998, 6, 1), date(1998, 9, 30), 12)
JUDGE = CHOSEN.judge()
#: Counted from seed 0 every mutation is found within so many seeds; the test begins at the seed that finds it.
WITHIN = 40
FOUND_AT: dict[str, int] = {}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.__name__)
def test_a_bug_put_back_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = FOUND_AT.get(mutation.__name__, 0)
    assert seed < WITHIN
    scenario = JUDGE.scenario(seed)
    assert not JUDGE.judge(scenario).wrong
    mutation(monkeypatch)
    assert JUDGE.judge(scenario).wrong
