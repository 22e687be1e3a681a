"""Which rises of the utilisation are announced."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.collateral.alerts import LEVELS, AlertBook
from services.collateral.margin import State

COOLDOWN = 300
TIMES = st.lists(st.tuples(st.integers(1, 200), st.sampled_from(LEVELS)), max_size=40)


def replay(*observations: tuple[int, State]) -> list[tuple[int, State]]:
    book = AlertBook()
    return [(ts, state) for ts, state in observations if book.observe(state, ts, COOLDOWN)]


@pytest.mark.parametrize(
    ("observations", "raised"),
    [
        # Upward crossings only, once each.
        ([(0, "ok"), (1, "warning"), (2, "warning"), (3, "ok")], [(1, "warning")]),
        # Every level on the way up.
        ([(0, "warning"), (1, "critical"), (2, "emergency")], [(0, "warning"), (1, "critical"), (2, "emergency")]),
        # A jump announces where it lands; a fall announces nothing.
        ([(0, "emergency"), (1, "critical"), (2, "warning")], [(0, "emergency")]),
        # The same severity again within the cooldown is held back ...
        ([(0, "warning"), (10, "ok"), (20, "warning"), (30, "ok")], [(0, "warning")]),
        # ... and raised when it ends, if the state still stands.
        ([(0, "warning"), (10, "ok"), (20, "warning"), (299, "warning"), (300, "warning"), (301, "warning")],
         [(0, "warning"), (300, "warning")]),
        # An escalation is never held back, whatever was raised before the fall.
        ([(0, "critical"), (10, "ok"), (20, "warning"), (30, "critical")],
         [(0, "critical"), (20, "warning"), (30, "critical")]),
        # After the cooldown the same severity is announced at once.
        ([(0, "critical"), (10, "ok"), (310, "critical")], [(0, "critical"), (310, "critical")]),
        # A replay that seeks backwards is not held back by the future.
        ([(1_000, "warning"), (1_001, "ok"), (0, "warning")], [(1_000, "warning"), (0, "warning")]),
    ],
)  # fmt: skip
def test_announcements(observations: list[tuple[int, State]], raised: list[tuple[int, State]]) -> None:
    assert replay(*observations) == raised


@settings(deadline=None)
@given(TIMES)
def test_every_rise_above_the_last_alert_is_announced_at_once(steps: list[tuple[int, State]]) -> None:
    book, now, last, before = AlertBook(), 0, 0, 0
    for gap, state in steps:
        now += gap
        level = LEVELS.index(state)
        is_raised = book.observe(state, now, COOLDOWN)
        if level > before and level > last:
            assert is_raised
        if is_raised:
            last = level
        before = level


@settings(deadline=None)
@given(TIMES)
def test_one_severity_repeats_within_the_cooldown_only_as_an_escalation(steps: list[tuple[int, State]]) -> None:
    book, now, raised = AlertBook(), 0, []
    for gap, state in steps:
        now += gap
        if book.observe(state, now, COOLDOWN):
            raised.append((now, LEVELS.index(state)))
    for index, (ts, level) in enumerate(raised):
        same = [when for when, other in raised[:index] if other == level and ts - when < COOLDOWN]
        assert not same or raised[index - 1][1] < level


@settings(deadline=None)
@given(TIMES)
def test_a_state_that_stands_is_announced_within_one_cooldown(steps: list[tuple[int, State]]) -> None:
    book, now = AlertBook(), 0
    for gap, state in steps:
        now += gap
        book.observe(state, now, COOLDOWN)
        level = LEVELS.index(state)
        later = deepcopy(book)
        assert level == later.announced or later.observe(state, now + COOLDOWN, COOLDOWN)
