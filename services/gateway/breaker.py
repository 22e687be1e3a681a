"""A circuit breaker: a pure state machine over an injected time.

::

    closed --failures in a row--> open --recovery--> half-open --3 successes--> closed
                                    ^                    |
                                    +-----failure--------+

While open nothing is sent, so an engine in trouble is left alone and callers are told at once. Half open lets one
request through at a time. After M. Nygard, *Release It!*, 2nd edition, 2018, section 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

BreakerState = Literal["closed", "open", "half_open"]

SUCCESSES_TO_CLOSE: Final = 3
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a breaker opens and for how long; seconds.

    Attributes:
        failures: In a row.
        recovery_seconds: From opening until one request is let through.
        timeout_seconds: How long a request may take.
    """

    failures: int = 5
    recovery_seconds: float = 60.0
    timeout_seconds: float = 30.0


#: Impatient where money is at stake, patient where work takes long.
LIMITS: Final[dict[str, BreakerLimits]] = {
    "strategy": BreakerLimits(3, 10, 5),
    "risk": BreakerLimits(3, 15, 10),
    "collateral": BreakerLimits(3, 15, 10),
    "ml": BreakerLimits(4, 20, 30),
}


class Breaker:
    """One engine's breaker.

    Attributes:
        opened: How often it opened.
    """

    def __init__(self, limits: BreakerLimits) -> None:
        self.limits = limits
        self.opened = 0
        self._state: BreakerState = "closed"
        self._failures = 0
        self._successes = 0
        self._opened_ns = 0
        self._trial_ns: int | None = None

    def state(self, now_ns: int) -> BreakerState:
        """The state at ``now_ns`` (monotonic)."""
        if self._state == "open" and now_ns - self._opened_ns >= self.limits.recovery_seconds * _NS:
            return "half_open"
        return self._state

    def admit(self, now_ns: int) -> bool:
        """Whether a request may be sent.

        Who is admitted reports :meth:`succeeded`, :meth:`failed` or :meth:`gave_up`.
        """
        state = self.state(now_ns)
        if state == "open":
            return False
        if state == "half_open":
            # A trial nobody reports on counts as lost after its timeout, so that it blocks nobody for ever.
            if self._trial_ns is not None and now_ns - self._trial_ns < self.limits.timeout_seconds * _NS:
                return False
            if self._state == "open":
                self._state, self._successes = "half_open", 0
            self._trial_ns = now_ns
        return True

    def succeeded(self, now_ns: int) -> None:
        """An admitted request was answered."""
        self._trial_ns = None
        self._failures = 0
        if self._state == "half_open":
            self._successes += 1
            if self._successes >= SUCCESSES_TO_CLOSE:
                self._state = "closed"

    def failed(self, now_ns: int) -> None:
        """An admitted request was not, or with a server's error."""
        self._trial_ns = None
        self._failures += 1
        if self._state == "half_open" or (self._state == "closed" and self._failures >= self.limits.failures):
            self._state = "open"
            self._opened_ns = now_ns
            self._failures = 0
            self.opened += 1

    def gave_up(self) -> None:
        """An admitted request ended without telling anything about the engine: its client went away."""
        self._trial_ns = None

    def retry_after_seconds(self, now_ns: int) -> int:
        """When to try again, at least 1."""
        left = self.limits.recovery_seconds - (now_ns - self._opened_ns) / _NS
        return max(1, int(left) + 1) if self._state == "open" else 1
