"""The fleet grid: what each engine last said of itself, and how old that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_NS: Final = 1_000_000_000
#: What a row takes over from an engine's ``/status``.
_FIELDS: Final = (
    "version", "instance", "epoch", "uptime_seconds", "lag_events", "lag_seconds", "halted", "halt_reason",
    "degraded_reasons", "dead_letters", "messagebus_connected", "role",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at an engine.

    Attributes:
        status: Its ``/status``, or None where it did not answer.
        problem: Why not.
        at_ns: Monotonic.
    """

    status: Mapping[str, Any] | None
    problem: str
    at_ns: int

    @property
    def state(self) -> str:
        """``healthy``, ``degraded``, ... as the engine says, ``unreachable`` where it says nothing."""
        return str(self.status.get("status", "unknown")) if self.status is not None else "unreachable"


def row(engine: str, reading: Reading | None, heartbeat_age: float | None, breaker: str, now_ns: int) -> dict[str, Any]:
    """One row of the grid; what an engine did not say is null."""
    status = reading.status if reading and reading.status is not None else {}
    newest = newest_input(status.get("inputs", ()))
    return {
        "engine": engine,
        "state": reading.state if reading else "unknown",
        "reason": _reason(reading),
        **{name: status.get(name) for name in _FIELDS},
        "last_event_topic": newest[0] if newest else None,
        "last_event_age_seconds": newest[1] if newest else None,
        "heartbeat_age_seconds": None if heartbeat_age is None else round(heartbeat_age, 3),
        "checked_age_seconds": round((now_ns - reading.at_ns) / _NS, 3) if reading else None,
        "breaker": breaker,
    }


def newest_input(inputs: Sequence[Mapping[str, Any]]) -> tuple[str, float] | None:
    """The input an engine heard last, and how long ago; None where it has heard nothing."""
    ages = [(float(one["age_seconds"]), str(one["topic"])) for one in inputs if one.get("age_seconds") is not None]
    if not ages:
        return None
    age, topic = min(ages)
    return topic, age


def _reason(reading: Reading | None) -> str | None:
    if reading is None:
        return "nobody has looked yet"
    if reading.status is None:
        return reading.problem
    reasons = reading.status.get("degraded_reasons") or []
    return "; ".join(str(reason) for reason in reasons) or None


def fault_of(engine: str, reading: Reading | None) -> str | None:
    """What is wrong with an engine in one sentence, None if all is well or nobody has looked yet."""
    if reading is None or reading.state == "healthy":
        return None
    reason = _reason(reading)
    return f"engine {engine} is {reading.state}" + (f": {reason}" if reason else "")
