"""The grid of a paced replay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.marketdata.adapters.pacing import Pacer

SECOND = 1_000_000_000


def test_steps_are_spaced_evenly_and_lateness_does_not_add_up() -> None:
    pacer, now, begun = Pacer(), 5 * SECOND, []
    for work_ns in (0, 30_000_000, 90_000_000, 5_000_000, 0, 0):  # one step of 90 ms is late at 20 a second
        now += round(pacer.wait_seconds(now, 20.0) * SECOND)
        begun.append((now - 5 * SECOND) / 1e6)
        pacer.step()
        now += work_ns
    assert begun == [0.0, 50.0, 100.0, 190.0, 200.0, 250.0]


@given(st.floats(0.5, 500.0), st.integers(2, 200))
def test_the_mean_pace_is_the_configured_one(speed: float, steps: int) -> None:
    pacer, now = Pacer(), 1
    for _ in range(steps):
        now += round(pacer.wait_seconds(now, speed) * SECOND)
        pacer.step()
    # Each step is rounded to a nanosecond.
    assert (now - 1) / SECOND == pytest.approx((steps - 1) / speed, abs=steps * 2e-9)


def test_a_fleet_that_cannot_keep_up_is_not_rushed() -> None:
    pacer, now = Pacer(), SECOND
    assert pacer.wait_seconds(now, 10.0) == 0.0
    pacer.step()
    now += 30 * SECOND
    assert pacer.wait_seconds(now, 10.0) == 0.0
    pacer.step()
    assert pacer.wait_seconds(now, 10.0) == pytest.approx(0.1)


def test_no_pace_never_waits_and_a_new_pace_begins_at_once() -> None:
    pacer = Pacer()
    assert pacer.wait_seconds(7, 0.0) == 0.0
    pacer.step()
    assert pacer.wait_seconds(7, 0.0) == 0.0
    assert pacer.wait_seconds(SECOND, 1.0) == 0.0
    pacer.step()
    assert pacer.wait_seconds(SECOND, 1.0) == 1.0
    assert pacer.wait_seconds(SECOND, 2.0) == 0.0
    pacer.step()
    pacer.reset()
    assert pacer.wait_seconds(SECOND, 2.0) == 0.0
