"""The clock of running systems, and the only file of the project that may read the machine's clocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from threading import Lock
from typing import Any, Protocol

from libs.clock.base import TimerClock
from libs.clock.clock import TimeEvent
from libs.clock.errors import ClockLoopError, InvalidTimerError
from libs.clock.timers import Timer

MAX_SLEEP_NS = 1_000_000_000
"""Longest time between two looks at the wall clock while a timer is armed.

An event loop counts time that no one can set; the wall clock is stepped by time servers and by a laptop that wakes up.
A look every second bounds how late a timer notices, and costs a few microseconds a second.
"""

MAX_BURST = 1_000
"""Events fired in a row before other work of the event loop gets its turn."""

ErrorHook = Callable[[Exception, TimeEvent], object]
"""Called with what a callback raised and the event it was called for."""


_counter: Callable[[], int] = time.perf_counter_ns


def monotonic_ns() -> int:
    """Return nanoseconds of a counter that only measures durations; its zero means nothing."""
    return _counter()


@contextmanager
def counting_with(counter: Callable[[], int]) -> Iterator[None]:
    """Let `monotonic_ns` read another counter: that of a simulation, whose durations must not depend on the machine."""
    global _counter
    before, _counter = _counter, counter
    try:
        yield
    finally:
        _counter = before


class Wakeup(Protocol):
    """A call that an event loop will make."""

    def cancel(self) -> None:
        """Call it off."""
        ...


class TimerLoop(Protocol):
    """The part of an asyncio event loop that a `LiveClock` needs."""

    def time(self) -> float:
        """Return the loop's time in seconds."""
        ...

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Wakeup:
        """Call back at the loop's time `when`."""
        ...

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody awaits."""
        ...

    def is_closed(self) -> bool:
        """Return whether the loop can never run again."""
        ...


class UniqueStamps:
    """Turns a wall clock into strictly increasing stamps, unique also between threads.

    A wall clock that is set back makes the stamps crawl by 1 ns a reading until it has caught up.
    """

    __slots__ = ("_last", "_lock", "_now_ns")

    def __init__(self, now_ns: Callable[[], int]) -> None:
        """Create a source of stamps over a wall clock in UNIX nanoseconds."""
        self._now_ns = now_ns
        self._last = 0
        self._lock = Lock()

    def __call__(self) -> int:
        """Return the next stamp in UNIX nanoseconds."""
        with self._lock:  # CPython 3.11 happens not to switch threads between compare and store; do not rely on it
            now = self._now_ns()
            if now <= self._last:
                now = self._last + 1
            self._last = now
        return now


_process_stamps = UniqueStamps(time.time_ns)  # one for all clocks of the process, as in NautilusTrader


class LiveClock(TimerClock):
    """The wall clock, with timers on the asyncio event loop.

    - Stamps are strictly increasing and unique over all live clocks and threads of the process.
    - An event never fires before its time, whatever the event loop does (uvloop wakes up to 0.5 ms early): a wake-up
      that comes early goes back to sleep. `ts_init - ts_event` is the lateness.
    - Events due at one wake-up fire ordered by (time, name).
    - A stop is inclusive, and a name is free before its last callback runs: both as on `TestClock`, where
      NautilusTrader's live clock differs.
    - A start in the past is not caught up: the first event is the next one of the same grid, start + k * interval.
      (NautilusTrader's live clock fires at once and moves the grid.)
    - Ticks missed because a callback or the process was slow are delivered late, in order, each with its own
      `ts_event`, at most 1,000 before the event loop runs other work. The grid never shifts.
    - What a callback raises goes to `on_error`; the timer goes on.

    Readings work anywhere, also without an event loop. Timers are armed, cancelled and fired in the loop's thread.
    """

    def __init__(
        self,
        *,
        on_error: ErrorHook | None = None,
        loop: TimerLoop | None = None,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        """Create a clock.

        Args:
            on_error: Receives what callbacks raise; by default the exception handler of the event loop.
            loop: Where timers run; by default the loop that is running when the first one is armed.
            now_ns: Wall clock in UNIX nanoseconds, for tests; by default the machine's.
        """
        super().__init__()
        self._stamp = _process_stamps if now_ns is None else UniqueStamps(now_ns)
        self._loop = loop
        self._loop_is_given = loop is not None
        self._on_error = on_error
        self._handle: Wakeup | None = None
        self._wake_ns = 0
        self._closed = False

    def timestamp_ns(self) -> int:
        """Return the time in nanoseconds: strictly increasing and unique in the process."""
        return self._stamp()

    def cancel_timer(self, name: str) -> None:
        """Disarm a timer; raises `UnknownTimerError` if it is not armed."""
        super().cancel_timer(name)
        if not self._queue:
            self._stop_waiting()

    def cancel_timers(self) -> None:
        """Disarm every timer."""
        super().cancel_timers()
        self._stop_waiting()

    def close(self) -> None:
        """Disarm every timer for good; readings go on. Closing twice is harmless."""
        self._closed = True
        self.cancel_timers()

    def _first_event_ns(self, name: str, first: int, interval: int, stop: int, now: int) -> int:
        on_grid = first - (first - now) // interval * interval  # floor of a negative: the first event not before now
        if stop and on_grid > stop:
            raise InvalidTimerError(
                f"stop_time_ns of timer {name!r} must not be before its next event at {on_grid}, was {stop}"
            )
        return on_grid

    def _arm(self, timer: Timer) -> None:
        self._bind()
        self._queue.add(timer)
        self._wait()

    def _bind(self) -> None:
        if self._closed:
            raise ClockLoopError("clock must be open to arm a timer, was closed; create another LiveClock")
        if self._loop_is_given:
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError as e:
            raise ClockLoopError(
                "event loop must be running to arm a live timer, was none in this thread; arm inside a coroutine "
                "or pass loop="
            ) from e
        if self._loop is running:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise ClockLoopError(f"timers of one clock must be armed in one event loop, was {running!r} as well")
        self._stop_waiting()  # what a closed loop left behind
        self._loop = running

    def _wait(self) -> None:
        """Make the loop wake this clock for its earliest timer, unless it will do so in time already."""
        first = self._queue.first_time_ns()
        if first is None or self._loop is None:
            return
        now = self.timestamp_ns()
        wake = min(first, now + MAX_SLEEP_NS)
        if self._handle is not None:
            if self._wake_ns <= wake:
                return
            self._handle.cancel()
        self._wake_ns = wake
        self._handle = self._loop.call_at(self._loop.time() + max(wake - now, 0) / 1e9, self._wake)

    def _stop_waiting(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _wake(self) -> None:
        self._handle = None
        now = self.timestamp_ns()
        try:
            # What a callback arms gets a stamp after `now`, so this loop cannot be kept alive by re-arming.
            for _ in range(MAX_BURST):
                due = self._queue.pop_due(now)
                if due is None:
                    break
                self._fire(*due)
        finally:
            self._wait()

    def _fire(self, at: int, timer: Timer) -> None:
        event = TimeEvent(timer.name, at, self.timestamp_ns())
        try:
            self._handler_of(timer)(event)
        except Exception as e:  # a callback's bug must neither stop the timer nor the loop
            self._report(e, event)

    def _report(self, error: Exception, event: TimeEvent) -> None:
        if self._on_error is not None:
            self._on_error(error, event)
        elif self._loop is not None:
            self._loop.call_exception_handler(
                {"message": f"callback of timer {event.name!r} failed at {event.ts_event}", "exception": error}
            )
