"""Rate limits: token buckets by name, in bounded memory."""

from __future__ import annotations

from typing import Final

_NS: Final = 1_000_000_000


class RateLimiter:
    """At most ``count`` a period for each name, with a whole period's worth at once.

    Args:
        count: Requests a period.
        period_seconds: Length of the period.
        max_names: Names remembered; the one longest silent is forgotten first, whose bucket is full again anyway.
    """

    def __init__(self, count: int, period_seconds: float = 1.0, max_names: int = 10_000) -> None:
        self._count = float(count)
        self._per_ns = count / (period_seconds * _NS)
        self._max_names = max_names
        self._buckets: dict[str, tuple[float, int]] = {}

    def admit(self, name: str, now_ns: int) -> bool:
        """Whether ``name`` may go on at ``now_ns`` (monotonic)."""
        level, then = self._buckets.pop(name, (self._count, now_ns))
        level = min(self._count, level + (now_ns - then) * self._per_ns)
        admitted = level >= 1.0
        self._buckets[name] = (level - 1.0 if admitted else level, now_ns)
        if len(self._buckets) > self._max_names:
            del self._buckets[next(iter(self._buckets))]
        return admitted

    def retry_after_seconds(self, name: str, now_ns: int) -> int:
        """When ``name`` may go on, at least 1."""
        level, then = self._buckets.get(name, (self._count, now_ns))
        missing = 1.0 - min(self._count, level + (now_ns - then) * self._per_ns)
        return max(1, int(missing / self._per_ns / _NS) + 1)
