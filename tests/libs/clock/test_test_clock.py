"""What the table of cases cannot say about `TestClock`."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from libs.clock import (
    Clock,
    EndlessTimerError,
    InvalidTimerError,
    ReentrantAdvanceError,
    TestClock,
    TimeEvent,
    TimeEventHandler,
    TimeReversalError,
    TimerState,
)

NEW_YEAR_2021_NS = 1_609_459_200_000_000_000
MINUTE_NS = 60_000_000_000


def ignore(event: TimeEvent) -> None:
    """Be called."""


def test_is_a_clock() -> None:
    assert isinstance(TestClock(), Clock)


def test_advance_time_is_relative_and_returns_what_fired() -> None:
    clock = TestClock(start_time_ns=NEW_YEAR_2021_NS)
    readings: list[int] = []
    clock.set_timer_ns("minute", MINUTE_NS, callback=lambda _: readings.append(clock.timestamp_ns()))
    events = clock.advance_time(5 * 60 * 1e9)  # type: ignore[arg-type]  # a float, as people write it
    assert readings == [NEW_YEAR_2021_NS + i * MINUTE_NS for i in range(1, 6)]
    assert [event.ts_event for event in events] == readings
    assert clock.advance_time(0) == []


def test_override_replaces_an_armed_alert() -> None:
    clock = TestClock()
    called: list[str] = []
    clock.set_time_alert("a", datetime(1970, 1, 2, tzinfo=UTC), lambda _: called.append("first"))
    clock.set_time_alert("a", datetime(1970, 1, 3, tzinfo=UTC), lambda _: called.append("second"), override=True)
    clock.set_time_alert_ns("new", 5, lambda _: called.append("new"), override=True)
    clock.advance_to(5 * 24 * 60 * MINUTE_NS)
    assert called == ["new", "second"]


def test_event() -> None:
    event = TimeEvent("bar close", 5, 7)
    assert event == TimeEvent("bar close", 5, 7)
    assert str(event) == "bar close"
    assert event.id == "bar close-5"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=TimeEvent) == event
    with pytest.raises(AttributeError):
        event.ts_event = 6  # type: ignore[misc]


def test_raising_callback_leaves_the_clock_at_its_event() -> None:
    clock = TestClock()
    seen: list[str] = []

    def fail(event: TimeEvent) -> None:
        raise RuntimeError("broken")

    clock.set_timer_ns("bad", 10, callback=fail)
    clock.set_timer_ns("good", 10, callback=lambda event: seen.append(f"{event.name}@{event.ts_event}"))
    with pytest.raises(RuntimeError, match="broken"):
        clock.advance_to(25)
    assert clock.timestamp_ns() == 10
    assert clock.timer_names == ["bad", "good"]
    assert clock.next_time_ns("bad") == 20
    clock.cancel_timer("bad")
    assert [event.name for event in clock.advance_to(25)] == ["good", "good"]
    assert seen == ["good@10", "good@20"]


def test_endless_rearming_is_caught() -> None:
    clock = TestClock(start_time_ns=1_000)

    def again(event: TimeEvent) -> None:
        clock.set_time_alert_ns(f"alert {event.ts_event} {clock.timer_count}", clock.timestamp_ns(), again)

    clock.set_time_alert_ns("alert", 1_500, again)
    clock.set_timer_ns("steady", 100, callback=ignore)
    with pytest.raises(EndlessTimerError, match=r"chain of timers armed at 1500 .* must end, was 10001 long"):
        clock.advance_time(1_000)
    assert clock.timestamp_ns() == 1_500
    clock.cancel_timer("steady")
    assert clock.advance_time(1_000) == []


def test_rearming_at_the_current_time_may_go_on_as_long_as_time_moves() -> None:
    clock = TestClock()

    def follow(event: TimeEvent) -> None:
        clock.cancel_timer("tick")
        clock.set_timer_ns("tick", 1, callback=tick, fire_immediately=True)

    def tick(event: TimeEvent) -> None:
        if clock.timestamp_ns() != last[0]:
            last[0] = clock.timestamp_ns()
            clock.set_time_alert_ns("follow", 0, follow)

    last = [0]
    clock.set_timer_ns("tick", 1, callback=tick)
    assert len(clock.advance_to(12_000)) == 36_000  # tick, follow, tick at every nanosecond


def test_clock_cannot_be_moved_by_its_own_callback() -> None:
    clock = TestClock()
    for index, move in enumerate((clock.set_time, clock.advance_to, clock.advance_time, clock.due)):
        clock.set_time_alert_ns("a", index, lambda _, move=move: move(50))  # type: ignore[misc]
        with pytest.raises(ReentrantAdvanceError, match="must not be moved by one of its own callbacks"):
            clock.advance_to(index)


def test_ten_thousand_timers_fire_in_order() -> None:
    clock = TestClock()
    for i in range(10_000):
        clock.set_timer_ns(f"timer {i}", 1 + i * 7 % 97, callback=ignore, stop_time_ns=200)
    assert clock.timer_count == 10_000
    assert clock.timer_names == sorted(f"timer {i}" for i in range(10_000))
    fired = [(event.ts_event, event.name) for event in clock.advance_to(200)]
    assert fired == sorted(fired)
    assert len(fired) == sum(200 // (1 + i * 7 % 97) for i in range(10_000))
    assert all(clock.next_time_ns(name) > 200 for name in clock.timer_names)


def test_ten_thousand_timers_of_one_time_are_no_chain() -> None:
    clock = TestClock()
    for i in range(20_000):
        clock.set_time_alert_ns(f"{i}", 0, ignore)
    assert len(clock.advance_to(0)) == 20_000


def test_due_collects_without_calling() -> None:
    clock = TestClock()
    called: list[TimeEvent] = []
    clock.set_timer_ns("t", 10, callback=called.append)
    handlers = clock.due(25)
    assert clock.timestamp_ns() == 25
    assert called == []
    assert handlers == [TimeEventHandler(TimeEvent("t", at, at), called.append) for at in (10, 20)]
    for handler in handlers:
        handler.handle()
    assert [event.ts_event for event in called] == [10, 20]
    with pytest.raises(TimeReversalError, match="to_time_ns must not be before the clock's 25, was 24"):
        clock.due(24)


def test_first_time_tells_how_long_a_host_may_sleep() -> None:
    clock = TestClock()
    assert clock.first_time_ns() is None
    clock.set_time_alert_ns("late", 50, ignore)
    clock.set_time_alert_ns("soon", 20, ignore)
    assert clock.first_time_ns() == 20
    clock.cancel_timer("soon")
    assert clock.first_time_ns() == 50


def test_restored_timers_go_on_where_they_stood() -> None:
    def arm(clock: TestClock) -> None:
        clock.set_timer_ns("timer", 10, 3, 38, ignore)
        clock.set_time_alert_ns("alert", 21, ignore)

    original = TestClock()
    arm(original)
    original.advance_to(17)
    snapshot = msgspec.msgpack.encode((original.timestamp_ns(), original.timer_states()))

    now, states = msgspec.msgpack.decode(snapshot, type=tuple[int, list[TimerState]])
    restored = TestClock(now)
    arm(restored)  # what an engine's constructor arms is replaced
    restored.restore_timers(states, lambda name: ignore)
    assert restored.timer_states() == original.timer_states()
    assert restored.advance_to(60) == original.advance_to(60)
    assert restored.timer_names == original.timer_names == []


def test_restoring_without_anybody_to_call_changes_nothing() -> None:
    clock = TestClock()
    clock.set_time_alert_ns("alert", 21, ignore)
    states = clock.timer_states()
    with pytest.raises(InvalidTimerError, match="callback of timer 'alert' must be given"):
        clock.restore_timers(states, lambda name: None)
    assert clock.timer_states() == states
