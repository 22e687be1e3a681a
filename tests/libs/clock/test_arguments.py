"""Readings, and what arguments a clock takes, converts and refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from libs.clock import (
    InvalidTimerError,
    TestClock,
    TimeEvent,
    UnknownTimerError,
)

NEW_YEAR_2021_NS = 1_609_459_200_000_000_000
MINUTE_NS = 60_000_000_000


def ignore(event: TimeEvent) -> None:
    """Be called."""


def test_readings() -> None:
    clock = TestClock(start_time_ns=NEW_YEAR_2021_NS + 123_456_789)
    assert clock.timestamp_ns() == 1_609_459_200_123_456_789
    assert clock.timestamp_us() == 1_609_459_200_123_456
    assert clock.timestamp_ms() == 1_609_459_200_123
    assert clock.timestamp() == 1_609_459_200.1234567  # what nautilus_trader 1.221 returns for it
    assert clock.utc_now() == datetime(2021, 1, 1, 0, 0, 0, 123_456, UTC)
    new_york = clock.local_now(ZoneInfo("America/New_York"))
    assert new_york.isoformat() == "2020-12-31T19:00:00.123456-05:00"


def test_local_now_needs_a_zone() -> None:
    with pytest.raises(TypeError, match="tz must be a tzinfo"):
        TestClock().local_now(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.5, 1.5e9 + 0.25, float(2**53 + 2), float("nan"), float("inf"), True, "5", None])
def test_time_that_is_not_whole_nanoseconds_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="must be"):
        TestClock().advance_time(value)  # type: ignore[arg-type]


def test_float_of_whole_milliseconds_is_exact() -> None:
    assert TestClock(1609459200 * 1e9).timestamp_ns() == NEW_YEAR_2021_NS  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1, 2**64])
def test_time_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(OverflowError, match=f"delta_ns must be between 0 and 2..64 - 1 ns, was {value}"):
        TestClock().advance_time(value)


def test_datetimes_and_timedeltas_are_exact() -> None:
    clock = TestClock(start_time_ns=NEW_YEAR_2021_NS)
    clock.register_default_handler(ignore)
    clock.set_time_alert("naive", datetime(2021, 1, 1, 0, 0, 0, 1))  # noqa: DTZ001 - naive is UTC
    clock.set_time_alert("zoned", datetime(2020, 12, 31, 19, 1, tzinfo=ZoneInfo("America/New_York")))
    clock.set_time_alert("pandas", pd.Timestamp(NEW_YEAR_2021_NS + 987_654_321, tz="UTC"))
    clock.set_timer("timer", timedelta(days=1, microseconds=3), start_time=datetime(2021, 1, 1, 1, tzinfo=UTC))
    clock.set_timer("pandas timer", pd.Timedelta(1_001, unit="ns"))
    assert clock.next_time_ns("naive") == NEW_YEAR_2021_NS + 1_000
    assert clock.next_time_ns("zoned") == NEW_YEAR_2021_NS + MINUTE_NS
    assert clock.next_time_ns("pandas") == NEW_YEAR_2021_NS + 987_654_321
    assert clock.next_time_ns("timer") == NEW_YEAR_2021_NS + 25 * 60 * MINUTE_NS + 3_000
    assert clock.next_time_ns("pandas timer") == NEW_YEAR_2021_NS + 1_001


def test_set_timer_stops() -> None:
    clock = TestClock(start_time_ns=NEW_YEAR_2021_NS)
    stop = datetime(2021, 1, 1, 0, 2, 30, tzinfo=UTC)
    clock.set_timer("t", timedelta(minutes=1), stop_time=stop, callback=ignore, fire_immediately=True)
    assert len(clock.advance_time(10 * MINUTE_NS)) == 3


def test_wrong_types_are_refused_where_they_are_given() -> None:
    clock = TestClock()
    with pytest.raises(TypeError, match="alert_time must be a datetime, was 5"):
        clock.set_time_alert("a", 5, ignore)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="interval must be a timedelta, was 5"):
        clock.set_timer("a", 5, callback=ignore)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="timer name must be a string, was None"):
        clock.set_time_alert_ns(None, 5, ignore)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="callback must be callable, was 3"):
        clock.set_time_alert_ns("a", 5, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="callback must be callable, was 'x'"):
        clock.register_default_handler("x")  # type: ignore[arg-type]
    with pytest.raises(OverflowError, match="alert_time must be between"):
        clock.set_time_alert("a", datetime(1960, 1, 1, tzinfo=UTC), ignore)
    assert clock.timer_names == []


def test_nobody_to_call_is_refused() -> None:
    clock = TestClock()
    with pytest.raises(InvalidTimerError, match="callback of timer 'a' must be given, was None"):
        clock.set_time_alert_ns("a", 5)
    with pytest.raises(InvalidTimerError, match="callback of timer 't' must be given, was None"):
        clock.set_timer_ns("t", 5)


def test_errors_read_as_text() -> None:
    with pytest.raises(UnknownTimerError) as caught:
        TestClock().cancel_timer("zz")
    assert str(caught.value) == "timer to cancel must be armed, was 'zz'; see timer_names for those that are"
