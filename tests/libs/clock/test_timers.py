"""The heap against the obvious implementation, and what it keeps in memory."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.clock.timers import Timer, TimerQueue

NAMES = st.sampled_from(["a", "b", "B", "c", "10", "9"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), NAMES, st.integers(0, 40), st.integers(0, 9), st.integers(0, 60)),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.just("pop"), st.integers(0, 80)),
        st.tuples(st.just("first")),
    ),
    max_size=60,
)


class ScanQueue:
    """A queue that looks at every timer every time."""

    def __init__(self) -> None:
        self.timers: dict[str, list[int]] = {}  # name -> next, interval, stop

    def first_time_ns(self) -> int | None:
        return min((entry[0] for entry in self.timers.values()), default=None)

    def pop_due(self, to: int) -> tuple[int, str] | None:
        while due := sorted((entry[0], name) for name, entry in self.timers.items() if entry[0] <= to):
            at, name = due[0]
            _, interval, stop = self.timers[name]
            if interval and at != stop and (not stop or at < stop):
                self.timers[name][0] = at + interval
            else:
                del self.timers[name]
            if not stop or at <= stop:
                return at, name
        return None


@given(steps=STEPS)
@settings(max_examples=200, deadline=None)
def test_queue_equals_a_scan(steps: list[tuple]) -> None:
    queue, scan = TimerQueue(), ScanQueue()
    for verb, *args in steps:
        if verb == "add":
            name, at, interval, stop = args
            queue.add(Timer(name, at, interval, stop if interval else 0))
            scan.timers[name] = [at, interval, stop if interval else 0]
        elif verb == "remove":
            if args[0] in queue:
                queue.remove(args[0])
                del scan.timers[args[0]]
        elif verb == "pop":
            due = queue.pop_due(args[0])
            assert (due and (due[0], due[1].name)) == scan.pop_due(args[0])
        else:
            assert queue.first_time_ns() == scan.first_time_ns()
        assert queue.names() == sorted(scan.timers)
        assert [state.next_time_ns for state in queue.states()] == [scan.timers[name][0] for name in queue.names()]


def test_cancelled_timers_leave_no_memory_behind() -> None:
    queue = TimerQueue()
    queue.add(Timer("kept", 10**9))
    for i in range(10_000):
        queue.add(Timer("timeout", 10**6 + i))
        queue.remove("timeout")
    assert len(queue._heap) < 100
    assert queue.first_time_ns() == 10**9


def test_replaced_timer_fires_once() -> None:
    queue = TimerQueue()
    queue.add(Timer("a", 5))
    queue.add(Timer("a", 5))
    queue.add(Timer("a", 3))
    due = queue.pop_due(10)
    assert due is not None
    assert due[0] == 3
    assert queue.pop_due(10) is None
