"""From engine state to JSON: decimals as strings, no NaN, nothing that JSON cannot hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

_NS = 1_000_000_000


def plain(value: Any) -> Any:
    """``value`` as JSON can carry it; a float that is not finite becomes None."""
    if value is None or isinstance(value, str | bool | int):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    return value.hex() if isinstance(value, bytes) else str(value)


def iso(ts_ns: int | None) -> str | None:
    """UNIX nanoseconds as ISO 8601 UTC with microseconds, or None."""
    if ts_ns is None:
        return None
    seconds, rest = divmod(ts_ns, _NS)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def rounded(seconds: float | None, digits: int = 3) -> float | None:
    """An age for people to read; milliseconds are enough."""
    return None if seconds is None else round(seconds, digits)
