"""Every method of the `Clock` protocol that needs only "now": what both clocks inherit."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from libs.clock.checks import (
    checked_callback,
    checked_name,
    checked_ns,
    datetime_to_ns,
    ns_to_datetime,
    timedelta_to_ns,
)
from libs.clock.clock import TimeEventCallback
from libs.clock.errors import DuplicateTimerError, InvalidTimerError, UnknownTimerError
from libs.clock.timers import Timer, TimerQueue


class TimerClock:
    """Everything of the `Clock` protocol but the source of time and the firing."""

    def __init__(self) -> None:
        """Create a clock without timers."""
        self._queue = TimerQueue()
        self._default_handler: TimeEventCallback | None = None

    def timestamp_ns(self) -> int:
        """Return the time in nanoseconds."""
        raise NotImplementedError

    def timestamp(self) -> float:
        """Return the time in seconds; a float carries about 200 ns at today's dates."""
        return self.timestamp_ns() / 1e9

    def timestamp_ms(self) -> int:
        """Return the time in whole milliseconds, truncated."""
        return self.timestamp_ns() // 1_000_000

    def timestamp_us(self) -> int:
        """Return the time in whole microseconds, truncated."""
        return self.timestamp_ns() // 1_000

    def utc_now(self) -> datetime:
        """Return the time as an aware UTC `datetime`, truncated to microseconds."""
        return ns_to_datetime(self.timestamp_ns())

    def local_now(self, tz: tzinfo) -> datetime:
        """Return `utc_now()` in the given zone."""
        if not isinstance(tz, tzinfo):
            raise TypeError(f"tz must be a tzinfo such as zoneinfo.ZoneInfo('America/New_York'), was {tz!r}")
        return self.utc_now().astimezone(tz)

    @property
    def timer_names(self) -> list[str]:
        """Names of the armed timers and alerts, sorted."""
        return self._queue.names()

    @property
    def timer_count(self) -> int:
        """Number of armed timers and alerts."""
        return len(self._queue)

    def next_time_ns(self, name: str) -> int:
        """Return when the timer fires next, 0 if it is not armed."""
        timer = self._queue.find(checked_name(name))
        return timer.next_time_ns if timer else 0

    def first_time_ns(self) -> int | None:
        """Return the earliest time any timer is due, None if nothing is armed: how long a host may sleep."""
        return self._queue.first_time_ns()

    def register_default_handler(self, callback: TimeEventCallback) -> None:
        """Set what timers armed without a callback call."""
        self._default_handler = checked_callback(callback)

    def set_time_alert(
        self,
        name: str,
        alert_time: datetime,
        callback: TimeEventCallback | None = None,
        override: bool = False,
        allow_past: bool = True,
    ) -> None:
        """Arm a single event; see `Clock.set_time_alert_ns`."""
        at = datetime_to_ns(alert_time, "alert_time")
        self.set_time_alert_ns(name, at, callback, allow_past, override=override)

    def set_time_alert_ns(
        self,
        name: str,
        alert_time_ns: int,
        callback: TimeEventCallback | None = None,
        allow_past: bool = True,
        *,
        override: bool = False,
    ) -> None:
        """Arm a single event; see `Clock.set_time_alert_ns`."""
        at = checked_ns(alert_time_ns, "alert_time_ns")
        self._check_free(name, override)
        self._check_callback(name, callback)
        now = self.timestamp_ns()
        if at < now:
            if not allow_past:
                raise InvalidTimerError(
                    f"alert {name!r} must not be in the past, was {at} at {now}; pass a later time or allow_past=True"
                )
            at = now
        self._arm(Timer(name, at, callback=callback, armed_ns=now))

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
        """Arm a repeating event; see `Clock.set_timer_ns`."""
        self.set_timer_ns(
            name,
            timedelta_to_ns(interval, "interval"),
            0 if start_time is None else datetime_to_ns(start_time, "start_time"),
            0 if stop_time is None else datetime_to_ns(stop_time, "stop_time"),
            callback,
            allow_past,
            fire_immediately,
        )

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
        """Arm a repeating event; see `Clock.set_timer_ns`."""
        interval = checked_ns(interval_ns, "interval_ns")
        start = checked_ns(start_time_ns, "start_time_ns")
        stop = checked_ns(stop_time_ns, "stop_time_ns")
        self._check_free(name, override=False)
        self._check_callback(name, callback)
        if not interval:
            raise InvalidTimerError(f"interval_ns of timer {name!r} must be positive, was 0")
        now = self.timestamp_ns()
        start = start or now
        first = start if fire_immediately else start + interval
        if stop:
            _check_stop(name, now, start, interval, stop)
        if first < now:
            if not allow_past:
                raise InvalidTimerError(
                    f"first event of timer {name!r} must not be in the past, was {first} at {now}; "
                    "pass a later start or allow_past=True"
                )
            first = self._first_event_ns(name, first, interval, stop, now)
        self._arm(Timer(name, first, interval, stop, callback, now))

    def cancel_timer(self, name: str) -> None:
        """Disarm a timer; raises `UnknownTimerError` if it is not armed."""
        if checked_name(name) not in self._queue:
            raise UnknownTimerError(f"timer to cancel must be armed, was {name!r}; see timer_names for those that are")
        self._queue.remove(name)

    def cancel_timers(self) -> None:
        """Disarm every timer."""
        self._queue.clear()

    def _first_event_ns(self, name: str, first: int, interval: int, stop: int, now: int) -> int:
        """Return where a timer begins whose first event is already past."""
        raise NotImplementedError

    def _arm(self, timer: Timer) -> None:
        self._queue.add(timer)

    def _check_free(self, name: str, override: bool) -> None:
        if checked_name(name) in self._queue and not override:
            raise DuplicateTimerError(f"timer name must be free, was {name!r}, which is armed; cancel it first")

    def _check_callback(self, name: str, callback: TimeEventCallback | None) -> None:
        if callback is not None:
            checked_callback(callback)
        elif self._default_handler is None:
            raise InvalidTimerError(
                f"callback of timer {name!r} must be given, was None; pass one or call register_default_handler first"
            )

    def _handler_of(self, timer: Timer) -> TimeEventCallback:
        handler = timer.callback or self._default_handler
        assert handler is not None, "checked when the timer was armed"
        return handler


def _check_stop(name: str, now: int, start: int, interval: int, stop: int) -> None:
    if stop <= now:
        raise InvalidTimerError(f"stop_time_ns of timer {name!r} must be after now ({now}), was {stop}")
    if start + interval > stop:
        raise InvalidTimerError(
            f"stop_time_ns of timer {name!r} must leave room for one event at {start + interval}, was {stop}"
        )
