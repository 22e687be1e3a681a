"""Checks and conversions of times, durations, names and callbacks, shared by both clocks."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta
from typing import SupportsIndex

from libs.clock.clock import TimeEventCallback
from libs.clock.errors import InvalidTimerError, TimeRangeError

MAX_TIME_NS = 2**64 - 1
"""Last time a clock can hold: the year 2554, the limit of NautilusTrader's `UnixNanos`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT_FLOAT = 2**53  # up to here every whole number has a float of its own
_MILLISECOND_NS = 1_000_000


def checked_ns(value: SupportsIndex | float, what: str) -> int:
    """Return a time or duration as an integer.

    A float is taken where it certainly is the number its writer meant: whole, and either below 2**53 (`5 * 60 * 1e9`)
    or a whole millisecond (`1609459200 * 1e9`). Others lost their nanoseconds before they came here.

    Args:
        value: Nanoseconds.
        what: Name of the argument, for the error.

    Raises:
        TimeRangeError: If the value is outside 0 .. 2**64 - 1.
        TypeError: If the value is no whole number, or a float that cannot be trusted to be one.
    """
    if type(value) is int:
        nanoseconds = value
    elif isinstance(value, float):
        if not value.is_integer() or (abs(value) > _EXACT_FLOAT and value % _MILLISECOND_NS):
            raise TypeError(f"{what} must be whole nanoseconds, was {value!r}, which a float cannot carry; pass an int")
        nanoseconds = int(value)
    elif isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} must be nanoseconds as an int, was {value!r}")
    else:
        nanoseconds = operator.index(value)
    if not 0 <= nanoseconds <= MAX_TIME_NS:
        raise TimeRangeError(f"{what} must be between 0 and 2**64 - 1 ns, was {nanoseconds}")
    return nanoseconds


def checked_name(name: str) -> str:
    """Return the name of a timer, or raise `TypeError` (no string) or `InvalidTimerError` (blank)."""
    if not isinstance(name, str):
        raise TypeError(f"timer name must be a string, was {name!r}")
    if not name or name.isspace():
        raise InvalidTimerError(f"timer name must not be blank, was {name!r}")
    return name


def checked_callback(callback: TimeEventCallback) -> TimeEventCallback:
    """Return the callback, or raise `TypeError` if it cannot be called: at arming, where the mistake is."""
    if not callable(callback):
        raise TypeError(f"callback must be callable, was {callback!r}")
    return callback


def datetime_to_ns(moment: datetime, what: str) -> int:
    """Return UNIX nanoseconds of a `datetime`, exactly; one without a zone is UTC.

    Raises:
        TimeRangeError: If the moment is before 1970 or after 2554.
        TypeError: If it is no `datetime`.
    """
    if not isinstance(moment, datetime):
        raise TypeError(f"{what} must be a datetime, was {moment!r}")
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    # `nanosecond` is what a pandas.Timestamp holds below the microsecond.
    nanoseconds = (aware - _EPOCH) // _MICROSECOND * 1_000 + getattr(moment, "nanosecond", 0)
    return checked_ns(nanoseconds, what)


def timedelta_to_ns(duration: timedelta, what: str) -> int:
    """Return nanoseconds of a `timedelta`, exactly.

    Raises:
        TimeRangeError: If the duration is negative.
        TypeError: If it is no `timedelta`.
    """
    if not isinstance(duration, timedelta):
        raise TypeError(f"{what} must be a timedelta, was {duration!r}")
    return checked_ns(duration // _MICROSECOND * 1_000 + getattr(duration, "nanoseconds", 0), what)


def ns_to_datetime(nanoseconds: int) -> datetime:
    """Return the UTC `datetime` of UNIX nanoseconds, truncated to microseconds (no float in between)."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)
