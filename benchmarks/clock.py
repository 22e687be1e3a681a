"""Creating, arming, firing and cancelling timers: each under 10 microseconds, beside NautilusTrader's test clock.

Every sample is a single call, but in "10,000 at once", where it is an advance divided by its events. "1 of 10,000" is
where the data structure shows. NautilusTrader's test clock returns handlers, so firing is `advance_time` and
`handle()` there; its live clock runs timers on a thread of its own.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from time import perf_counter_ns
from typing import Any

from benchmarks.table import Options, Table, alternate, options, summarise
from libs.clock import LiveClock, TestClock

BAR_US = 10.0
NS_TO_US = 1e-3
START_NS = 1_700_000_000_000_000_000
HOUR_NS = 3_600_000_000_000
CALLS = 2_000  # a round
MANY = 10_000

Advance = Callable[[Any, int], None]


def ignore(event: object) -> None:
    """Be called."""


def advance_ours(clock: TestClock, to_time_ns: int) -> None:
    clock.advance_to(to_time_ns)


def advance_theirs(clock: Any, to_time_ns: int) -> None:
    for handler in clock.advance_time(to_time_ns):
        handler.handle()


def timed(calls: Iterable[Callable[[], object]]) -> list[float]:
    """Return the duration of each call in nanoseconds."""
    samples: list[float] = []
    for call in calls:
        before = perf_counter_ns()
        call()
        samples.append(perf_counter_ns() - before)
    return samples


class Operations:
    """The measured operations on one kind of clock; each returns nanoseconds of single calls.

    Args:
        make: Creates the clock.
        advance: Moves it to a time and runs what is due.
    """

    def __init__(self, make: Callable[[], Any], advance: Advance) -> None:
        self._make, self._advance = make, advance

    def create(self) -> list[float]:
        return timed([self._make] * CALLS)

    def arm_alert(self) -> list[float]:
        clock = self._started()
        return timed(partial(clock.set_time_alert_ns, f"a{i}", START_NS + i, ignore) for i in range(CALLS))

    def arm_timer(self) -> list[float]:
        clock = self._started()
        return timed(partial(clock.set_timer_ns, f"t{i}", 1_000 + i, 0, 0, ignore) for i in range(CALLS))

    def cancel(self) -> list[float]:
        clock = self._started()
        for i in range(CALLS):
            clock.set_time_alert_ns(f"a{i}", START_NS + i, ignore)
        return timed(partial(clock.cancel_timer, f"a{i}") for i in range(CALLS))

    def fire(self) -> list[float]:
        return self._fire(self._started(), CALLS)

    def fire_among_many(self) -> list[float]:
        return self._fire(self._many, CALLS // 10)

    def fire_many(self) -> list[float]:
        """Return nanoseconds an event of one advance that fires 10,000 timers at once."""
        clock = self._many
        to_time_ns = clock.next_time_ns("hourly 0")
        (elapsed,) = timed([partial(self._advance, clock, to_time_ns)])
        return [elapsed / MANY]

    @cached_property
    def _many(self) -> Any:
        """A clock with 10,000 timers; kept, since arming so many takes the peer seconds."""
        clock = self._started()
        for i in range(MANY):
            clock.set_timer_ns(f"hourly {i}", HOUR_NS, 0, 0, ignore)
        return clock

    def _started(self) -> Any:
        clock = self._make()
        clock.set_time(START_NS)
        return clock

    def _fire(self, clock: Any, calls: int) -> list[float]:
        start = clock.timestamp_ns()
        clock.set_timer_ns("t", 1_000, 0, 0, ignore)
        samples = timed(partial(self._advance, clock, start + i * 1_000) for i in range(1, calls + 1))
        clock.cancel_timer("t")
        return samples


MEASURED = {
    "create a clock": Operations.create,
    "arm an alert, 0 to 2,000 armed": Operations.arm_alert,
    "arm a repeating timer, 0 to 2,000 armed": Operations.arm_timer,
    "cancel, 2,000 to 0 armed": Operations.cancel,
    "fire, 1 armed": Operations.fire,
    "fire 1 of 10,000 armed": Operations.fire_among_many,
    "fire 10,000 at once, each": Operations.fire_many,
}


class Peer:
    """NautilusTrader's clocks."""

    def __init__(self) -> None:
        from nautilus_trader.common.component import LiveClock as NautilusLiveClock
        from nautilus_trader.common.component import TestClock as NautilusTestClock

        self.name = f"nautilus_trader {importlib.metadata.version('nautilus_trader')}"
        self.operations = Operations(NautilusTestClock, advance_theirs)
        self.live_clock = NautilusLiveClock()


async def lateness_us(clock: Any, ticks: int) -> list[float]:
    """Return how late, in microseconds, a 1 ms timer of a live clock fires while nothing else runs."""
    lateness: list[float] = []
    clock.set_timer_ns("t", 1_000_000, 0, 0, lambda event: lateness.append((event.ts_init - event.ts_event) / 1e3))
    while len(lateness) < ticks:  # noqa: ASYNC110 - the peer calls back from a thread of its own
        await asyncio.sleep(0.02)
    clock.cancel_timers()
    return lateness[:ticks]


def measure(chosen: Options) -> Table:
    """Run everything and return the table."""
    rounds = 2 if chosen.quick else 25
    peer = Peer() if importlib.util.find_spec("nautilus_trader") else None
    ours, live_clock = Operations(TestClock, advance_ours), LiveClock()
    table = Table("clock", peer.name if peer else None)
    for name, operation in MEASURED.items():
        theirs = partial(operation, peer.operations) if peer else None
        add(table, name, alternate(rounds, partial(operation, ours), theirs))
    theirs = partial(timed, [peer.live_clock.timestamp_ns] * CALLS) if peer else None
    add(table, "live clock: read", alternate(rounds, partial(timed, [live_clock.timestamp_ns] * CALLS), theirs))
    ticks = 100 if chosen.quick else 1_000
    late = summarise(asyncio.run(lateness_us(live_clock, ticks)))
    peer_late = summarise(asyncio.run(lateness_us(peer.live_clock, ticks))).value if peer else None
    table.add("live clock: lateness of a 1 ms timer", late, "us", peer=peer_late)
    return table


def add(table: Table, name: str, samples: list[list[float]]) -> None:
    """Add a row of our and the peer's nanoseconds, with the bar that all operations share."""
    ours, theirs = samples
    peer = summarise(theirs, NS_TO_US).value if theirs else None
    table.add(name, summarise(ours, NS_TO_US), "us", peer=peer, bar=BAR_US)


def main() -> int:
    chosen = options(__doc__)
    return measure(chosen).finish(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
