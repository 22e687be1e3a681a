"""The queue of armed timers.

A binary heap ordered by (time, name) with one entry a timer: arming and firing cost O(log n), so ten thousand timers
are as cheap as ten. A cancelled timer leaves its entry behind; when dead entries outnumber live ones the heap is
rebuilt, which keeps memory proportional to what is armed.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace

import msgspec

from libs.clock.clock import TimeEventCallback

_FEW_DEAD = 64  # below this many dead entries a rebuild is not worth its cost


class Timer(msgspec.Struct):
    """An armed timer or alert.

    Attributes:
        name: Its name.
        next_time_ns: When it fires next.
        interval_ns: Time between events; 0 for an alert.
        stop_time_ns: Last time an event may carry; 0 for never.
        callback: What to call; None is the default handler of the moment it fires.
        armed_ns: Reading of the clock when it was armed.
        depth: How many timers in a row, this one included, were armed at `armed_ns` by the callback of the one
            before and due at once; 0 if it was armed outside a callback or for later.
    """

    name: str
    next_time_ns: int
    interval_ns: int = 0
    stop_time_ns: int = 0
    callback: TimeEventCallback | None = None
    armed_ns: int = 0
    depth: int = 0


class TimerState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An armed timer without its callback: what a snapshot keeps. Fields as in `Timer`."""

    name: str
    next_time_ns: int
    interval_ns: int
    stop_time_ns: int


class TimerQueue:
    """Armed timers by name and by time."""

    __slots__ = ("_heap", "_serial", "_timers")

    def __init__(self) -> None:
        """Create an empty queue."""
        self._timers: dict[str, Timer] = {}
        self._heap: list[tuple[int, str, int, Timer]] = []
        self._serial = 0  # breaks ties between a cancelled entry and its successor of the same name and time

    def __len__(self) -> int:
        """Return the number of armed timers."""
        return len(self._timers)

    def __contains__(self, name: str) -> bool:
        """Return whether a timer of this name is armed."""
        return name in self._timers

    def names(self) -> list[str]:
        """Return the names of the armed timers, sorted."""
        return sorted(self._timers)

    def find(self, name: str) -> Timer | None:
        """Return the armed timer of this name."""
        return self._timers.get(name)

    def states(self) -> list[TimerState]:
        """Return the armed timers without their callbacks, sorted by name."""
        return [
            TimerState(timer.name, timer.next_time_ns, timer.interval_ns, timer.stop_time_ns)
            for _, timer in sorted(self._timers.items())
        ]

    def add(self, timer: Timer) -> None:
        """Arm a timer; one of the same name is replaced."""
        self._timers[timer.name] = timer
        self._serial += 1
        heappush(self._heap, (timer.next_time_ns, timer.name, self._serial, timer))
        self._drop_dead()

    def remove(self, name: str) -> None:
        """Disarm the timer of this name, which must be armed."""
        del self._timers[name]
        self._drop_dead()

    def clear(self) -> None:
        """Disarm every timer."""
        self._timers.clear()
        self._heap.clear()

    def first_time_ns(self) -> int | None:
        """Return the earliest time any timer is due, None if nothing is armed."""
        heap = self._heap
        while heap:
            at, name, _, timer = heap[0]
            if self._timers.get(name) is timer:
                return at
            heappop(heap)
        return None

    def pop_due(self, to_time_ns: int) -> tuple[int, Timer] | None:
        """Return the earliest due event as (time, timer) and move its timer on, None if nothing is due.

        The timer stands at its next event, or is disarmed if this was the last, before the caller runs the callback.
        """
        heap, timers = self._heap, self._timers
        while heap and heap[0][0] <= to_time_ns:
            at, name, serial, timer = heap[0]
            if timers.get(name) is not timer:
                heappop(heap)
                continue
            stop = timer.stop_time_ns
            if stop and at > stop:  # the stop lay between two events
                heappop(heap)
                del timers[name]
                continue
            if timer.interval_ns and at != stop:
                timer.next_time_ns = at + timer.interval_ns
                heapreplace(heap, (timer.next_time_ns, name, serial, timer))
            else:
                heappop(heap)
                del timers[name]
            return at, timer
        return None

    def _drop_dead(self) -> None:
        heap = self._heap
        if len(heap) > 2 * len(self._timers) + _FEW_DEAD:
            heap[:] = [entry for entry in heap if self._timers.get(entry[1]) is entry[3]]
            heapify(heap)
