"""When a standby takes a lease for over: by what it saw, on its own clock."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from libs.engine.lease import UNSEEN_LEASES, LeaseWatch
from libs.messagebus.transport import LeaseView

LEASE = 1.0
LOOK = 0.1


def view(beats: int = 0, epoch: int = 1, commits: int = 0, released: bool = False) -> LeaseView:
    return LeaseView(epoch, beats, commits, released)


def watch_of_a_live_holder() -> LeaseWatch:
    """At 0 s it has just seen the first beat."""
    watch = LeaseWatch(LEASE)
    watch.saw(view(0), -LOOK)
    watch.saw(view(1), 0.0)
    return watch


def look_on(watch: LeaseWatch, seen: LeaseView, start: float, until: float) -> float | None:
    """Look regularly after ``start``; when the lease was over first, None if it was not until ``until``."""
    for step in range(1, round((until - start) / LOOK) + 1):
        now = start + step * LOOK
        watch.saw(seen, now)
        if watch.is_over(now):
            return now
    return None


def test_a_silent_holder_loses_the_lease_when_its_time_is_up() -> None:
    over = look_on(watch_of_a_live_holder(), view(1), 0.0, 20.0)
    assert over is not None
    assert LEASE <= over <= LEASE + LOOK + 1e-9


def test_whatever_the_holder_does_is_a_sign_of_life() -> None:
    signs = (view(2), view(2, commits=1), view(2, epoch=2, commits=1), view(3, epoch=2, commits=1))
    watch, now = watch_of_a_live_holder(), 0.0
    for seen in signs:
        now += 0.4
        watch.saw(watch_view := seen, now)
        assert look_on(watch, watch_view, now, now + 0.9) is None
        now += 0.9


def test_a_holder_that_was_never_seen_alive_gets_the_time_of_a_start() -> None:
    watch = LeaseWatch(LEASE)
    watch.saw(view(), 0.0)
    over = look_on(watch, view(), 0.0, 60.0)
    assert over is not None
    assert UNSEEN_LEASES * LEASE <= over <= UNSEEN_LEASES * LEASE + LOOK + 1e-9


def test_a_lease_given_up_is_over_at_once_if_the_holder_was_seen_alive() -> None:
    watch = watch_of_a_live_holder()
    watch.saw(view(1, released=True), 0.1)
    assert watch.is_over(0.1)


def test_a_lease_that_was_given_up_before_the_standby_began_is_left_to_the_primary_that_starts() -> None:
    watch = LeaseWatch(LEASE)
    watch.saw(view(5, released=True), 0.0)
    assert look_on(watch, view(5, released=True), 0.0, 9.0) is None


def test_a_bus_that_was_away_vouches_for_nothing_before_and_gives_the_primary_time_to_come_back() -> None:
    watch = watch_of_a_live_holder()
    assert look_on(watch, view(1), 0.0, 0.9) is None
    watch.interrupted()
    assert not watch.is_over(100.0)
    watch.saw(view(1), 100.0)
    assert look_on(watch, view(1), 100.0, 109.0) is None
    watch.saw(view(2), 109.1)  # it is back, and judged by the lease again
    over = look_on(watch, view(2), 109.1, 120.0)
    assert over is not None
    assert over <= 109.1 + LEASE + LOOK + 1e-9


def test_a_standby_that_was_frozen_itself_or_had_slow_answers_waits_a_whole_lease_again() -> None:
    watch = watch_of_a_live_holder()
    assert look_on(watch, view(1), 0.0, 0.9) is None
    watch.saw(view(1), 30.0)
    assert not watch.is_over(30.0)
    assert look_on(watch, view(1), 30.0, 30.9) is None
    assert look_on(watch, view(1), 30.9, 32.0) is not None
    slow = watch_of_a_live_holder()
    for second in range(1, 100):  # every answer takes longer than half a lease
        slow.saw(view(1), second * 0.6)
        assert not slow.is_over(second * 0.6)


def test_a_server_that_forgot_something_shows_no_sign_of_life() -> None:
    for older in (view(0), view(1, epoch=0), view(0, commits=9)):
        watch = watch_of_a_live_holder()
        watch.saw(older, 0.1)
        assert watch.patience_seconds == UNSEEN_LEASES * LEASE


@given(st.lists(st.tuples(st.floats(0.01, 0.45), st.booleans()), max_size=60))
def test_silence_is_the_time_since_the_last_sign_of_life(looks: list[tuple[float, bool]]) -> None:
    """Against a list of all looks, in which every two are close together."""
    watch, now, beats = watch_of_a_live_holder(), 0.0, 1
    times = [(0.0, 1)]
    for step, alive in looks:
        now, beats = now + step, beats + alive
        times.append((now, beats))
        watch.saw(view(beats), now)
        signs = [0.0, *(after[0] for before, after in pairwise(times) if after[1] != before[1])]
        assert watch.silent_seconds(now) == now - signs[-1]
        assert watch.is_over(now) == (now - signs[-1] >= LEASE)
