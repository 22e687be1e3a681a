"""An event loop and a wall clock that only move when told: a live clock's whole world, without sleeping."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from contextvars import Context
from typing import Any

from tests.libs.clock.script import START_NS


class FakeHandle:
    def __init__(self, when_ns: int, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.when_ns, self.callback, self.args = when_ns, callback, args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """Implements `libs.clock.live.TimerLoop`.

    Args:
        early_ns: How much too early it calls back, as uvloop does.
    """

    def __init__(self, early_ns: int = 0) -> None:
        self.elapsed_ns = 0
        self.wall_offset_ns = START_NS
        self.early_ns = early_ns
        self.wakeups = 0
        self.errors: list[dict[str, Any]] = []
        self._heap: list[tuple[int, int, FakeHandle]] = []

    def time(self) -> float:
        return self.elapsed_ns / 1e9

    def now_ns(self) -> int:
        return self.wall_offset_ns + self.elapsed_ns

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> FakeHandle:
        handle = FakeHandle(round(when * 1e9), callback, args)
        heapq.heappush(self._heap, (handle.when_ns, self.wakeups + len(self._heap), handle))
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def is_closed(self) -> bool:
        return False

    @property
    def pending(self) -> int:
        return sum(not handle.cancelled for _, _, handle in self._heap)

    def spend(self, duration_ns: int) -> None:
        """Let time pass without calling anybody, as a callback that takes long does."""
        self.elapsed_ns += duration_ns

    def run_until(self, wall_ns: int) -> None:
        """Run everything due until the wall clock shows this time."""
        while self._heap and self._heap[0][0] - self.early_ns <= wall_ns - self.wall_offset_ns:
            when_ns, _, handle = heapq.heappop(self._heap)
            if handle.cancelled:
                continue
            # A loop turn takes a microsecond, so that one that calls too early is not called for ever.
            self.elapsed_ns = max(when_ns - self.early_ns, self.elapsed_ns + 1_000)
            self.wakeups += 1
            handle.callback(*handle.args)
        self.elapsed_ns = max(wall_ns - self.wall_offset_ns, self.elapsed_ns)
