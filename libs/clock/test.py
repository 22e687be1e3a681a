"""The clock of simulations, replays and tests: it stands still until it is told to move."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from libs.clock.base import TimerClock
from libs.clock.checks import checked_ns
from libs.clock.clock import TimeEvent, TimeEventCallback, TimeEventHandler
from libs.clock.errors import EndlessTimerError, ReentrantAdvanceError, TimeReversalError
from libs.clock.timers import Timer, TimerState

MAX_CHAIN = 10_000
"""How many timers in a row may be armed by each other's callbacks without time moving."""


class TestClock(TimerClock):
    """A clock moved by hand, with NautilusTrader's semantics.

    `advance_to` and `advance_time` run what is due themselves, ordered by (time, name), and inside each callback the
    clock reads the scheduled time. What a callback arms or cancels takes effect within the same advance.

    Purposeful differences to NautilusTrader 1.221, where `advance_time` takes an absolute time and returns handlers
    that the caller runs afterwards, all at the end of the advance:

    - a timer cancelled by an earlier callback of the advance does not fire, an alert armed by one fires on time;
    - `set_time` refuses to go backward;
    - `advance_time` is relative, `advance_to` absolute; `due` collects as NautilusTrader does;
    - a timer armed without callback always calls the default handler, never one left behind by an expired namesake;
    - what aborts the process there (no callback at all, a name that is not ASCII) is an error or works.

    Events may be late by construction: a timer whose start lies in the past, or one that `set_time` jumped over,
    delivers every missed event with its own `ts_event` while the clock stays where it is, because time never goes
    backward.

    Not thread-safe: one clock belongs to one loop.
    """

    __test__ = False  # the name would make pytest collect it

    def __init__(self, start_time_ns: int = 0) -> None:
        """Create a clock.

        Args:
            start_time_ns: First reading, UNIX nanoseconds.
        """
        super().__init__()
        self._now = checked_ns(start_time_ns, "start_time_ns")
        self._running = False
        self._firing: Timer | None = None

    def timestamp_ns(self) -> int:
        """Return the time in nanoseconds."""
        return self._now

    def set_time(self, to_time_ns: int) -> None:
        """Move the clock without firing anything; what was jumped over fires at the next advance.

        Raises:
            ReentrantAdvanceError: If called from a callback of this clock.
            TimeReversalError: If the time is before the present reading.
        """
        self._now = self._checked_target(to_time_ns)

    def advance_time(self, delta_ns: int) -> list[TimeEvent]:
        """Advance by a duration and fire what is due; see `advance_to`."""
        return self.advance_to(self._now + checked_ns(delta_ns, "delta_ns"))

    def advance_to(self, to_time_ns: int) -> list[TimeEvent]:
        """Advance to a time (inclusive) and fire what is due on the way.

        If a callback raises, the error propagates; the clock then stands at that event, which counts as fired, and
        the next advance goes on with the one after it.

        Args:
            to_time_ns: UNIX nanoseconds, at least the present reading.

        Returns:
            The events fired, in order.

        Raises:
            EndlessTimerError: If callbacks keep re-arming at the current time.
            ReentrantAdvanceError: If called from a callback of this clock.
            TimeReversalError: If the time is before the present reading.
        """
        to_time_ns = self._checked_target(to_time_ns)
        fired: list[TimeEvent] = []
        pop_due = self._queue.pop_due
        self._running = True
        try:
            while (due := pop_due(to_time_ns)) is not None:
                at, timer = due
                if at > self._now:
                    self._now = at
                if timer.depth > MAX_CHAIN and timer.armed_ns == self._now:
                    raise EndlessTimerError(
                        f"chain of timers armed at {self._now} by each other's callbacks must end, was {timer.depth} "
                        f"long at {timer.name!r}; arm the next one later than the current time"
                    )
                self._firing = timer
                event = TimeEvent(timer.name, at, at)
                fired.append(event)
                self._handler_of(timer)(event)
            self._now = to_time_ns
        finally:
            self._running = False
            self._firing = None
        return fired

    def due(self, to_time_ns: int) -> list[TimeEventHandler]:
        """Advance to a time and return what is due without running it: NautilusTrader's `advance_time`.

        The clock reads `to_time_ns` afterwards, and every timer has moved on, whether or not its handler is ever run.

        Raises:
            ReentrantAdvanceError: If called from a callback of this clock.
            TimeReversalError: If the time is before the present reading.
        """
        to_time_ns = self._checked_target(to_time_ns)
        handlers: list[TimeEventHandler] = []
        while (due := self._queue.pop_due(to_time_ns)) is not None:
            at, timer = due
            handlers.append(TimeEventHandler(TimeEvent(timer.name, at, at), self._handler_of(timer)))
        self._now = to_time_ns
        return handlers

    def timer_states(self) -> list[TimerState]:
        """Return what is armed, sorted by name, without the callbacks: the part of a snapshot that is about time."""
        return self._queue.states()

    def restore_timers(
        self, states: Iterable[TimerState], callback_of: Callable[[str], TimeEventCallback | None]
    ) -> None:
        """Replace what is armed by what `timer_states` returned, each at exactly the event it was waiting for.

        Args:
            states: From a snapshot.
            callback_of: Gives the callback of a name; None is the default handler.

        Raises:
            InvalidTimerError: If a timer would have neither a callback nor a default handler.
        """
        timers = []
        for state in states:
            callback = callback_of(state.name)
            self._check_callback(state.name, callback)
            timers.append(Timer(state.name, state.next_time_ns, state.interval_ns, state.stop_time_ns, callback))
        self._queue.clear()
        for timer in timers:
            self._queue.add(timer)

    def _first_event_ns(self, name: str, first: int, interval: int, stop: int, now: int) -> int:
        return first  # every past event is delivered

    def _arm(self, timer: Timer) -> None:
        firing = self._firing
        if firing is not None and timer.next_time_ns <= self._now:
            timer.depth = firing.depth + 1 if firing.armed_ns == self._now else 1
        self._queue.add(timer)

    def _checked_target(self, to_time_ns: int) -> int:
        target = checked_ns(to_time_ns, "to_time_ns")
        if self._running:
            raise ReentrantAdvanceError(
                f"clock must not be moved by one of its own callbacks, was told to go to {target} while firing; "
                "arm a timer instead"
            )
        if target < self._now:
            raise TimeReversalError(f"to_time_ns must not be before the clock's {self._now}, was {target}")
        return target
