"""What can go wrong: one small struct a fault, addressed by the call of the bus at which it happens.

A fault waits for the ``nth`` call of ``method`` by the process of ``engine`` (counted over all its lives), or, where
``engine`` is empty, for the ``nth`` write that lands on the bus. Faults of the venue wait for its ``nth`` order.
Nothing is addressed by time, so taking one fault out of a list leaves the meaning of the others alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

Kind = Literal[
    "crash_before",
    "crash_after",
    "crash_handling",
    "restart",
    "reply_lost",
    "refused",
    "delayed",
    "short_read",
    "frozen",
    "sent_again",
    "outage",
    "failover",
    "clock_jump",
    "venue_lost_acknowledgement",
    "venue_late_fill",
    "venue_reject",
    "venue_duplicate",
    "venue_disconnect",
]

#: What each kind does, for reports.
MEANINGS: Final[dict[str, str]] = {
    "crash_before": "killed before the call reaches the bus",
    "crash_after": "killed after the call landed, before its reply",
    "crash_handling": "killed between two entries of a batch",
    "restart": "stopped in order and started again",
    "reply_lost": "the call landed, its reply did not come",
    "refused": "the call did not reach the bus",
    "delayed": "the call took long",
    "short_read": "reads return one entry a stream for a while",
    "frozen": "stopped like by SIGSTOP, replaced by a standby, woken up",
    "sent_again": "the source sends the same commands once more under another producer id",
    "outage": "nobody reaches the bus for a while",
    "failover": "the bus gives way to a replica that lacks the last writes",
    "clock_jump": "the wall clock of all hosts jumps",
    "venue_lost_acknowledgement": "the venue takes an order and never says so",
    "venue_late_fill": "the venue reports an execution steps later",
    "venue_reject": "the venue rejects an order",
    "venue_duplicate": "the venue sends each report of an order twice",
    "venue_disconnect": "the venue is silent for some steps and then says everything at once",
}

#: Faults that are part of what happened in the world: the run they are compared with has them too.
OF_THE_VENUE: Final = frozenset(kind for kind in MEANINGS if kind.startswith("venue_"))


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong.

    Attributes:
        engine: Whose process, empty for the whole bus (and for the venue).
        method: Of the transport; ``handle`` for entries handled; ``write`` for the whole bus; ``order`` for the venue.
        nth: At which call, 1-based.
        seconds: How long, in simulated seconds; of a clock jump how far, signed.
        count: Writes the replica lacks, calls refused, or steps the venue is late; of a frozen process 2 = a hot
            standby is started with it, 1 = a cold one when it is missed.
    """

    kind: Kind
    engine: str
    method: str
    nth: int
    seconds: float = 0.0
    count: int = 1

    def __str__(self) -> str:
        """One line of a report."""
        where = f"{self.engine or 'bus'} at {self.method} {self.nth}"
        size = f", {self.seconds:g} s" if self.seconds else ""
        many = f", {self.count}" if self.count != 1 else ""
        return f"{self.kind:<27} {where}{size}{many}: {MEANINGS[self.kind]}"


class FaultBook:
    """Gives out the faults that are due and remembers which came about.

    Args:
        faults: The list of one run.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._due: dict[tuple[str, str, int], list[Fault]] = {}
        for fault in faults:
            self._due.setdefault((fault.engine, fault.method, fault.nth), []).append(fault)
        self._calls: dict[tuple[str, str], int] = {}
        self.fired: list[Fault] = []

    def next(self, engine: str, method: str) -> list[Fault]:
        """Count one call and return what happens at it."""
        key = (engine, method)
        number = self._calls[key] = self._calls.get(key, 0) + 1
        found = self._due.pop((engine, method, number), None)
        if found is None:
            return []
        self.fired.extend(found)
        return found
