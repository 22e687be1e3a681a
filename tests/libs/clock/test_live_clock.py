"""What the table of cases cannot say about `LiveClock`; time and the event loop are in the test's hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from libs.clock import Clock, ClockLoopError, InvalidTimerError, LiveClock, TimeEvent
from libs.clock.live import MAX_BURST, monotonic_ns
from tests.libs.clock.fake_loop import FakeLoop
from tests.libs.clock.script import START_NS

MS = 1_000_000
SECOND = 1_000 * MS


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def clock(loop: FakeLoop) -> LiveClock:
    return LiveClock(loop=loop, now_ns=loop.now_ns)


def ignore(event: TimeEvent) -> None:
    """Be called."""


def test_is_a_clock_without_an_event_loop() -> None:
    clock = LiveClock()
    assert isinstance(clock, Clock)
    assert clock.timestamp_ns() > START_NS
    with pytest.raises(ClockLoopError, match="event loop must be running to arm a live timer"):
        clock.set_time_alert_ns("a", 0, ignore)
    assert clock.timer_names == []


def test_stamps_are_unique_over_threads_and_clocks() -> None:
    clocks = [LiveClock(), LiveClock()]
    with ThreadPoolExecutor(4) as pool:
        readings = list(pool.map(lambda i: [clocks[i % 2].timestamp_ns() for _ in range(5_000)], range(4)))
    assert all(stamps == sorted(stamps) for stamps in readings)
    assert len({stamp for stamps in readings for stamp in stamps}) == 20_000


def test_monotonic_counter_does_not_go_back() -> None:
    first = monotonic_ns()
    assert monotonic_ns() >= first


def test_stamps_rise_when_the_wall_clock_is_set_back(clock: LiveClock, loop: FakeLoop) -> None:
    before = clock.timestamp_ns()
    loop.wall_offset_ns -= SECOND
    assert [clock.timestamp_ns() for _ in range(3)] == [before + 1, before + 2, before + 3]
    loop.spend(2 * SECOND)
    assert clock.timestamp_ns() == START_NS + SECOND


@pytest.mark.parametrize("early_ns", [0, 500_000], ids=["punctual", "early"])
def test_events_are_never_early(early_ns: int) -> None:
    loop = FakeLoop(early_ns)
    clock = LiveClock(loop=loop, now_ns=loop.now_ns)
    lateness: list[int] = []
    clock.set_timer_ns("t", 7 * MS, START_NS, callback=lambda event: lateness.append(event.ts_init - event.ts_event))
    loop.run_until(START_NS + SECOND)
    assert len(lateness) == 142
    assert 0 <= min(lateness) <= max(lateness) < 10_000


def test_slow_callback_delivers_every_missed_tick_and_keeps_the_grid(clock: LiveClock, loop: FakeLoop) -> None:
    seen: list[tuple[int, int]] = []

    def on_tick(event: TimeEvent) -> None:
        seen.append(((event.ts_event - START_NS) // MS, (event.ts_init - START_NS) // MS))
        if len(seen) == 1:
            loop.spend(25 * MS)

    clock.set_timer_ns("t", 10 * MS, START_NS, callback=on_tick)
    loop.run_until(START_NS + 51 * MS)
    assert seen == [(10, 10), (20, 35), (30, 35), (40, 40), (50, 50)]


def test_a_burst_lets_the_loop_do_other_work(clock: LiveClock, loop: FakeLoop) -> None:
    fired: list[int] = []
    fired_before_other_work: list[int] = []
    clock.set_timer_ns("t", MS, START_NS, callback=lambda event: fired.append(event.ts_event))
    loop.spend(2_500 * MS)
    loop.call_at(loop.time(), lambda: fired_before_other_work.append(len(fired)))
    loop.run_until(START_NS + 2_501 * MS)
    assert fired_before_other_work == [MAX_BURST]
    assert fired == [START_NS + i * MS for i in range(1, 2_502)]


def test_rearming_at_the_current_time_does_not_hold_up_the_loop(clock: LiveClock, loop: FakeLoop) -> None:
    def again(event: TimeEvent) -> None:
        clock.set_time_alert_ns("a", 0, again)

    clock.set_time_alert_ns("a", 0, again)
    loop.run_until(START_NS + 50_000)  # a turn of this loop takes a microsecond
    assert loop.wakeups == 51


def test_wall_clock_set_forward_is_noticed_within_a_second(clock: LiveClock, loop: FakeLoop) -> None:
    fired: list[int] = []
    clock.set_time_alert_ns("a", START_NS + 3_600 * SECOND, lambda _: fired.append(loop.elapsed_ns))
    loop.run_until(START_NS + 10 * SECOND)
    loop.wall_offset_ns += 3_600 * SECOND
    loop.run_until(loop.now_ns() + 5 * SECOND)
    assert len(fired) == 1
    assert 10 * SECOND <= fired[0] <= 11 * SECOND


def test_wall_clock_set_back_fires_nothing_early(clock: LiveClock, loop: FakeLoop) -> None:
    fired: list[int] = []
    clock.set_time_alert_ns("a", START_NS + 10 * SECOND, lambda _: fired.append(loop.now_ns()))
    loop.run_until(START_NS + 5 * SECOND)
    loop.wall_offset_ns -= 4 * SECOND
    loop.run_until(START_NS + 9 * SECOND)
    assert fired == []
    loop.run_until(START_NS + 11 * SECOND)
    assert len(fired) == 1
    assert fired[0] >= START_NS + 10 * SECOND


def test_an_idle_clock_does_not_wake_the_loop(clock: LiveClock, loop: FakeLoop) -> None:
    clock.set_timer_ns("t", 10 * SECOND, callback=ignore)
    loop.run_until(START_NS + 60 * SECOND)
    assert loop.wakeups <= 66  # one look a second, and the ticks
    clock.cancel_timer("t")
    assert loop.pending == 0


def test_an_earlier_alert_moves_the_wake_up(clock: LiveClock, loop: FakeLoop) -> None:
    fired: list[tuple[str, int]] = []
    for name, at in (("late", 900), ("soon", 10), ("between", 500)):
        clock.set_time_alert_ns(
            name, START_NS + at * MS, lambda event: fired.append((event.name, loop.elapsed_ns // MS))
        )
    assert loop.pending == 1
    loop.run_until(START_NS + SECOND)
    assert fired == [("soon", 10), ("between", 500), ("late", 900)]


def test_callback_error_goes_to_the_loop_and_the_timer_goes_on(clock: LiveClock, loop: FakeLoop) -> None:
    error = RuntimeError("broken")

    def fail(event: TimeEvent) -> None:
        raise error

    clock.set_timer_ns("bad", 10 * MS, START_NS, callback=fail)
    loop.run_until(START_NS + 25 * MS)
    assert loop.errors == [
        {"message": f"callback of timer 'bad' failed at {START_NS + at * MS}", "exception": error} for at in (10, 20)
    ]
    assert clock.next_time_ns("bad") == START_NS + 30 * MS


def test_callback_error_goes_to_the_hook(loop: FakeLoop) -> None:
    seen: list[str] = []
    clock = LiveClock(
        loop=loop, now_ns=loop.now_ns, on_error=lambda error, event: seen.append(f"{event.name}: {error!r}")
    )

    def fail(event: TimeEvent) -> None:
        raise KeyError("x")

    clock.set_time_alert_ns("bad", 0, fail)
    clock.set_time_alert_ns("good", 0, lambda event: seen.append(event.name))
    loop.run_until(START_NS + MS)
    assert seen == ["bad: KeyError('x')", "good"]
    assert loop.errors == []


def test_past_start_without_a_tick_before_the_stop_is_refused(clock: LiveClock) -> None:
    with pytest.raises(InvalidTimerError, match="must not be before its next event"):
        clock.set_timer_ns("t", 10 * MS, START_NS - 15 * MS, START_NS + 2 * MS, ignore)


def test_close_disarms_for_good(clock: LiveClock, loop: FakeLoop) -> None:
    clock.set_timer_ns("t", MS, callback=ignore)
    clock.close()
    clock.close()
    assert clock.timer_names == []
    assert loop.pending == 0
    assert clock.timestamp_ns() > START_NS
    with pytest.raises(ClockLoopError, match="must be open to arm a timer"):
        clock.set_time_alert_ns("a", 0, ignore)


def test_one_clock_serves_one_loop_at_a_time() -> None:
    clock = LiveClock()
    fired: list[str] = []

    async def arm(name: str, delay_ns: int) -> None:
        clock.set_time_alert_ns(name, clock.timestamp_ns() + delay_ns, lambda event: fired.append(event.name))

    async def arm_and_wait() -> None:
        done = asyncio.Event()
        clock.set_time_alert_ns("end", clock.timestamp_ns() + 4 * MS, lambda _: done.set())
        await asyncio.wait_for(done.wait(), 10)

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        first.run_until_complete(arm("of the first", 2 * MS))
        with pytest.raises(ClockLoopError, match="must be armed in one event loop"):
            second.run_until_complete(arm("of the second", MS))
        first.close()
        second.run_until_complete(arm_and_wait())
        assert fired == ["of the first"]  # what a closed loop left armed fires on the next
    finally:
        clock.close()
        first.close()
        second.close()


def uvloop_factory() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = pytest.importorskip("uvloop").new_event_loop()
    return loop


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop_factory], ids=["asyncio", "uvloop"])
def test_real_time(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def collect() -> list[TimeEvent]:
        clock, events, done = LiveClock(), [], asyncio.Event()

        def on_tick(event: TimeEvent) -> None:
            assert clock.timestamp_ns() > event.ts_event
            events.append(event)
            if event.name == "t" and "t" not in clock.timer_names:
                done.set()

        start = clock.timestamp_ns() + MS
        clock.set_timer_ns("t", MS, start, start + 5 * MS, on_tick)
        clock.set_time_alert_ns("a", start + 3 * MS, on_tick)
        await asyncio.wait_for(done.wait(), 10)
        assert [(event.name, (event.ts_event - start) // MS) for event in events] == [
            ("t", 1), ("t", 2), ("a", 3), ("t", 3), ("t", 4), ("t", 5)
        ]  # fmt: skip
        return events

    with asyncio.Runner(loop_factory=factory) as runner:
        events = runner.run(collect())
    assert all(event.ts_init > event.ts_event for event in events)
