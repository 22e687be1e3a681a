"""Nanosecond stamps for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day_of(ts_ns: int) -> str:
    """``YYYY-MM-DD`` of a UNIX nanosecond stamp, UTC."""
    return (_EPOCH + timedelta(microseconds=ts_ns // 1_000)).date().isoformat()
