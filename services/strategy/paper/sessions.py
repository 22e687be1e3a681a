"""Intervals and days: which bars fill, whether an order was there when a bar opened, when a day order is over."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * _NS
_UNITS: Final = {"s": _NS, "m": 60 * _NS, "min": 60 * _NS, "h": 3_600 * _NS, "d": DAY_NS, "w": 7 * DAY_NS}


@lru_cache(maxsize=64)
def interval_ns(interval: str) -> int:
    """Length of an interval such as ``1d``, ``5m``, ``30min``, ``1h``; what is written otherwise counts as a day."""
    match = re.fullmatch(r"(\d+)(s|m|min|h|d|w)", interval)
    return int(match[1]) * _UNITS[match[2]] if match else DAY_NS


def day_of(ts_event: int) -> int:
    """UTC day of a timestamp, counted from 1970."""
    return ts_event // DAY_NS


def was_open(accepted_ts: int, bar_ts: int, length_ns: int) -> bool:
    """Whether an order accepted at ``accepted_ts`` was there when the bar ending at ``bar_ts`` opened.

    An order that came inside the bar must not trade at a price from before it came, so of such a bar it sees the close
    only. A daily session opens at an hour this venue does not know; what came on an earlier day was there.
    """
    if length_ns < DAY_NS:
        return accepted_ts <= bar_ts - length_ns
    return day_of(accepted_ts) < day_of(bar_ts)


def session_of(accepted_ts: int, now: int, length_ns: int) -> int:
    """The day a day order belongs to as seen at ``now``, or -1 while that day has not come.

    With intraday prices it is the day of the first step after the order; with daily ones the first later day, because
    an order placed at a daily close can only trade in the next session.
    """
    if now <= accepted_ts or (length_ns >= DAY_NS and day_of(now) == day_of(accepted_ts)):
        return -1
    return day_of(now)
