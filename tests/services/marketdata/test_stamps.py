"""Timestamps of files, exactly."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.marketdata.stamps import StampReader, interval_ns, iso_of, midnight_ns
from tests.services.marketdata.builders import ts


def read(value: object, unit: str = "iso", pattern: str = "", zone: str = "UTC", close: time = time(16)) -> int:
    return StampReader(unit, pattern, zone, close).read(value)


@pytest.mark.parametrize(
    ("value", "unit", "zone", "expected"),
    [
        ("2013-01-01 22:00:00.295000+00:00", "iso", "UTC", ts("2013-01-01T22:00:00.295+00:00")),
        ("2013-01-01T22:00:00Z", "iso", "UTC", ts("2013-01-01T22:00:00+00:00")),
        ("2024-01-01 23:01:00", "iso", "UTC", ts("2024-01-01T23:01:00")),
        ("2024-07-01 09:30:00", "iso", "America/New_York", ts("2024-07-01T13:30:00")),
        ("2013-01-01 22:00:00.295000001+00:00", "iso", "UTC", ts("2013-01-01T22:00:00.295") + 1),
        ("2013-01-01 22:00:00.1234567+00:00", "iso", "UTC", ts("2013-01-01T22:00:00.123456") + 700),
        ("1609459200", "s", "UTC", ts("2021-01-01")),
        ("1609459200.5", "s", "UTC", ts("2021-01-01") + 500_000_000),
        (1609459200123, "ms", "UTC", ts("2021-01-01") + 123_000_000),
        (1609459200.25, "s", "UTC", ts("2021-01-01") + 250_000_000),
        ("1609459200000000001", "ns", "UTC", ts("2021-01-01") + 1),
    ],
)
def test_a_stamp_is_read_exactly(value: object, unit: str, zone: str, expected: int) -> None:
    assert read(value, unit, zone=zone) == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("1990-01-02", "1990-01-02T21:00:00"),  # standard time: UTC-5
        ("2022-07-05", "2022-07-05T20:00:00"),  # daylight time: UTC-4
        ("2006-04-03", "2006-04-03T20:00:00"),  # until 2006 it began in April
        ("2007-03-12", "2007-03-12T20:00:00"),  # since 2007 in March
        ("2006-03-13", "2006-03-13T21:00:00"),
    ],
)
def test_a_trading_day_closes_at_four_in_new_york(day: str, expected: str) -> None:
    assert read(day, "date", zone="America/New_York") == ts(expected)


def test_a_date_may_be_written_otherwise_and_close_at_another_time() -> None:
    assert read("12/31/2018", "date", "%m/%d/%Y", "Europe/London", time(16, 30)) == ts("2018-12-31T16:30:00")


@pytest.mark.parametrize(
    ("value", "unit", "zone", "text"),
    [
        ("yesterday", "iso", "UTC", "must be an ISO 8601 date and time"),
        ("2020-01-02", "iso", "UTC", "must have a time of day"),
        ("", "iso", "UTC", "must be an ISO 8601"),
        (None, "iso", "UTC", "must be an ISO 8601"),
        ("2020-01-02T00:00:00.1234567891", "iso", "UTC", "at most 9 digits"),
        ("31/12/2018", "date", "UTC", "must be a date written YYYY-MM-DD"),
        ("1969-12-31T23:59:59", "iso", "UTC", "between 1970 and 2262"),
        ("2263-01-01T00:00:00", "iso", "UTC", "between 1970 and 2262"),
        ("2020-11-01T01:30:00", "iso", "America/New_York", "must name one moment of America/New_York"),
        ("2020-03-08T02:30:00", "iso", "America/New_York", "must name one moment"),
        ("abc", "s", "UTC", "must be a number counted since 1970"),
        ("1_000", "s", "UTC", "must be a number counted since 1970"),
        ("nan", "s", "UTC", "must be a number counted since 1970"),
        ("-5", "ms", "UTC", "must be a number counted since 1970"),
        ("1e999999", "s", "UTC", "must be a number counted since 1970, up to 2262"),
        ("0.5", "ns", "UTC", "must be a whole number of nanoseconds"),
    ],
)
def test_what_is_no_stamp_is_refused(value: object, unit: str, zone: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read(value, unit, zone=zone)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2262, 1, 1)), st.integers(0, 999))  # noqa: DTZ001
def test_iso_with_nine_digits_comes_back(moment: datetime, nanos: int) -> None:
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    expected = since // timedelta(microseconds=1) * 1_000 + nanos
    assert read(f"{moment:%Y-%m-%dT%H:%M:%S.%f}{nanos:03d}Z") == expected
    assert read(iso_of(expected)) == expected


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("5m", 300), ("1h", 3_600), ("1d", 86_400)])
def test_intervals_have_a_length(text: str, seconds: int) -> None:
    assert interval_ns(text) == seconds * 1_000_000_000


@pytest.mark.parametrize("text", ["", "m", "0m", "1w", "1.5h", "-1m"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a count and one of s, m, h, d"):
        interval_ns(text)


def test_midnight_is_in_utc() -> None:
    assert midnight_ns(datetime(2020, 2, 29, tzinfo=UTC).date()) == ts("2020-02-29")
