"""The clock an engine sees: the protocol, and the event a timer fires.

Times are integers: UNIX nanoseconds, UTC. Durations are integer nanoseconds. `datetime` and `timedelta` arguments are
converted exactly; a `datetime` without a zone is taken as UTC. pandas is not required, but a `pandas.Timestamp` or
`pandas.Timedelta` keeps its nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Protocol, runtime_checkable

import msgspec


class TimeEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A timer or an alert that fired.

    Attributes:
        name: Name of the timer.
        ts_event: Time it was scheduled for, UNIX nanoseconds.
        ts_init: Time it fired, UNIX nanoseconds. Equal to `ts_event` on a `TestClock`; on a `LiveClock` the
            difference is the lateness.
    """

    name: str
    ts_event: int
    ts_init: int

    @property
    def id(self) -> str:
        """Identity of the event: a function of name and scheduled time, so that a replay gives the same one.

        An alert that is re-armed in its own callback at the very same nanosecond repeats its id.
        """
        return f"{self.name}-{self.ts_event}"

    def __str__(self) -> str:
        """Return the name, as NautilusTrader's event does."""
        return self.name


TimeEventCallback = Callable[[TimeEvent], object]
"""What a timer calls; its result is ignored."""


class TimeEventHandler(msgspec.Struct, frozen=True):
    """An event that is due together with the callback it is for."""

    event: TimeEvent
    callback: TimeEventCallback

    def handle(self) -> None:
        """Call the callback with the event."""
        self.callback(self.event)


@runtime_checkable
class Clock(Protocol):
    """What engines, strategies and hosts may know about time.

    Due events fire ordered by (scheduled time, name); names compare by code point, which is UTF-8 byte order. A name
    is free again before the callback of its last event runs, so a callback may re-arm its own name.
    """

    def timestamp(self) -> float:
        """Return the time in seconds; a float carries about 200 ns at today's dates."""
        ...

    def timestamp_ms(self) -> int:
        """Return the time in whole milliseconds, truncated."""
        ...

    def timestamp_us(self) -> int:
        """Return the time in whole microseconds, truncated."""
        ...

    def timestamp_ns(self) -> int:
        """Return the time in nanoseconds; the only exact reading."""
        ...

    def utc_now(self) -> datetime:
        """Return the time as an aware UTC `datetime`, truncated to microseconds."""
        ...

    def local_now(self, tz: tzinfo) -> datetime:
        """Return `utc_now()` in the given zone. The zone is required: the machine's own would break replays."""
        ...

    @property
    def timer_names(self) -> list[str]:
        """Names of the armed timers and alerts, sorted."""
        ...

    @property
    def timer_count(self) -> int:
        """Number of armed timers and alerts."""
        ...

    def next_time_ns(self, name: str) -> int:
        """Return when the timer fires next, 0 if it is not armed."""
        ...

    def register_default_handler(self, callback: TimeEventCallback) -> None:
        """Set what timers armed without a callback call."""
        ...

    def set_time_alert(
        self,
        name: str,
        alert_time: datetime,
        callback: TimeEventCallback | None = None,
        override: bool = False,
        allow_past: bool = True,
    ) -> None:
        """Arm a single event; see `set_time_alert_ns`."""
        ...

    def set_time_alert_ns(
        self,
        name: str,
        alert_time_ns: int,
        callback: TimeEventCallback | None = None,
        allow_past: bool = True,
        *,
        override: bool = False,
    ) -> None:
        """Arm a single event.

        Args:
            name: Unique among the armed timers.
            alert_time_ns: When to fire. A past time is moved to now, and fires at the next opportunity.
            callback: What to call; the default handler when None.
            allow_past: Whether a past time is accepted.
            override: Replace an armed timer of the same name instead of raising.

        Raises:
            DuplicateTimerError: If the name is armed and `override` is False.
            InvalidTimerError: If the name is blank, the time is past and not allowed, or nobody would be called.
            TimeRangeError: If the time is outside 0 .. 2**64 - 1.
            TypeError: If an argument has the wrong type.
        """
        ...

    def set_timer(
        self,
        name: str,
        interval: timedelta,
        start_time: datetime | None = None,
        stop_time: datetime | None = None,
        callback: TimeEventCallback | None = None,
        allow_past: bool = True,
        fire_immediately: bool = False,
    ) -> None:
        """Arm a repeating event; see `set_timer_ns`."""
        ...

    def set_timer_ns(
        self,
        name: str,
        interval_ns: int,
        start_time_ns: int = 0,
        stop_time_ns: int = 0,
        callback: TimeEventCallback | None = None,
        allow_past: bool = True,
        fire_immediately: bool = False,
    ) -> None:
        """Arm a repeating event at start + interval, start + 2 * interval and so on.

        Args:
            name: Unique among the armed timers.
            interval_ns: Time between events, above 0.
            start_time_ns: Where the grid of events is anchored; 0 is now.
            stop_time_ns: Last time an event may carry (inclusive); 0 is never. A stop between two events keeps the
                name armed, silently, until the event it suppressed would have been due.
            callback: What to call; the default handler when None.
            allow_past: Whether the first event may lie in the past. A `TestClock` delivers every past event with its
                own time, a `LiveClock` goes on with the next future one of the same grid.
            fire_immediately: Whether the start itself is the first event.

        Raises:
            DuplicateTimerError: If the name is armed.
            InvalidTimerError: If name, interval, stop or first event cannot be right, or nobody would be called.
            TimeRangeError: If a time is outside 0 .. 2**64 - 1.
            TypeError: If an argument has the wrong type.
        """
        ...

    def cancel_timer(self, name: str) -> None:
        """Disarm a timer; raises `UnknownTimerError` if it is not armed."""
        ...

    def cancel_timers(self) -> None:
        """Disarm every timer."""
        ...
