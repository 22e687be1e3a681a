"""When the next timestamp is due."""

from __future__ import annotations

from typing import Final

_SECOND: Final = 1_000_000_000
#: A replay that is later than this gives up the lost time instead of rushing through it.
MAX_LATENESS_NS: Final = _SECOND


class Pacer:
    """Spaces steps on a grid of ``1 / speed`` seconds, so that lateness does not add up.

    A step that comes late shortens the wait for the next one. After a pause, a change of speed, or more than a second
    of lateness the grid begins anew: what was lost is not caught up in a burst.
    """

    def __init__(self) -> None:
        self._due_ns = 0
        self._speed = 0.0

    def wait_seconds(self, now_ns: int, speed: float) -> float:
        """Seconds until the next step may begin, 0.0 when it is due.

        Args:
            now_ns: Monotonic time.
            speed: Steps a second, 0 = no pace.
        """
        if speed <= 0.0:
            self.reset()
            return 0.0
        if speed != self._speed or self._due_ns == 0 or now_ns - self._due_ns > MAX_LATENESS_NS:
            self._speed = speed
            self._due_ns = now_ns
        return max(0.0, (self._due_ns - now_ns) / _SECOND)

    def step(self) -> None:
        """Note that a step begins now."""
        if self._due_ns:
            self._due_ns += round(_SECOND / self._speed)

    def reset(self) -> None:
        """Forget the grid; the next step is due at once."""
        self._due_ns = 0
