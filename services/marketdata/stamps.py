"""Timestamps of files to UNIX nanoseconds, exactly.

No float takes part: a float of today's seconds is only good to about 200 ns.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal, DecimalException
from typing import Any, Final
from zoneinfo import ZoneInfo

NS_PER_SECOND: Final = 1_000_000_000
NS_PER_UNIT: Final = {"s": NS_PER_SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
#: Stamps lie in 1970 or later and fit a signed 64-bit integer (April 2262).
MAX_NS: Final = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# datetime keeps 6 digits of a fraction and drops the rest without a word.
_FRACTION = re.compile(r"(\.\d{6})(\d+)")
_INTERVAL = re.compile(r"([1-9]\d{0,5})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def ns_of(moment: datetime) -> int:
    """Nanoseconds of an aware datetime."""
    elapsed = moment - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * NS_PER_SECOND + elapsed.microseconds * 1_000


def iso_of(ts_ns: int) -> str:
    """ISO 8601 in UTC of a stamp, with as many digits as it needs."""
    seconds, fraction = divmod(ts_ns, NS_PER_SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else f"{text}Z"


def midnight_ns(day: date) -> int:
    """The first nanosecond of ``day`` in UTC."""
    return (day.toordinal() - _EPOCH_ORDINAL) * 86_400 * NS_PER_SECOND


def interval_ns(interval: str) -> int:
    """Length of ``1s``, ``5m``, ``1h``, ``1d``.

    Raises:
        ValueError: If it is not of that form.
    """
    found = _INTERVAL.fullmatch(interval)
    if not found:
        raise ValueError(f"must be a count and one of s, m, h, d, was '{interval}'; write e.g. 1m or 1d")
    return int(found[1]) * _SECONDS[found[2]] * NS_PER_SECOND


class StampReader:
    """Reads the timestamp column of one source.

    Args:
        unit: ``iso`` (date and time, with or without offset), ``date`` (a trading day), or ``s``/``ms``/``us``/``ns``
            counted since 1970.
        pattern: ``strptime`` pattern of a ``date`` that is not ISO.
        zone: Zone of stamps without an offset, and of ``close_time``.
        close_time: When the session of a ``date`` closes.
    """

    def __init__(self, unit: str, pattern: str, zone: str, close_time: time) -> None:
        self._read = {"iso": self._iso, "date": self._date}.get(unit, self._count)
        self._scale = NS_PER_UNIT.get(unit, 1)
        self._pattern = pattern
        self._zone = UTC if zone == "UTC" else ZoneInfo(zone)
        self._close_time = close_time

    def read(self, value: Any) -> int:
        """Nanoseconds of a cell.

        Raises:
            ValueError: If it is no such timestamp; the text says what it must be.
        """
        ts_ns = self._read(value)
        if not 0 <= ts_ns <= MAX_NS:
            raise ValueError("must lie between 1970 and 2262")
        return ts_ns

    def _iso(self, value: Any) -> int:
        text = str(value).strip()
        extra = 0
        if len(text) > 26:
            found = _FRACTION.search(text)
            if found:
                if len(found[2]) > 3:
                    raise ValueError("must have at most 9 digits of a second")
                extra = int(found[2].ljust(3, "0"))
                text = text[: found.start(2)] + text[found.end(2) :]
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("must be an ISO 8601 date and time") from None
        if len(text) <= 10:
            raise ValueError("must have a time of day (or set the timestamp's unit to 'date')")
        return ns_of(moment if moment.tzinfo else self._placed(moment)) + extra

    def _date(self, value: Any) -> int:
        text = str(value).strip()
        try:
            if self._pattern:
                day = datetime.strptime(text, self._pattern).replace(tzinfo=UTC).date()
            else:
                day = date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"must be a date written {self._pattern or 'YYYY-MM-DD'}") from None
        return ns_of(self._placed(datetime.combine(day, self._close_time)))

    def _count(self, value: Any) -> int:
        text = repr(value) if isinstance(value, float) else str(value).strip()
        try:
            exact = Decimal(text) * self._scale
            is_stamp = "_" not in text and 0 <= exact <= MAX_NS  # the comparison raises for NaN
        except DecimalException:
            is_stamp = False
        if not is_stamp:
            raise ValueError("must be a number counted since 1970, up to 2262")
        if exact != exact.to_integral_value():
            raise ValueError("must be a whole number of nanoseconds")
        return int(exact)

    def _placed(self, moment: datetime) -> datetime:
        """``moment`` in the source's zone; a wall time that happened twice or never is refused."""
        first = moment.replace(tzinfo=self._zone)
        if self._zone is not UTC and first.utcoffset() != first.replace(fold=1).utcoffset():
            raise ValueError(f"must name one moment of {self._zone}, where clocks changed then")
        return first
