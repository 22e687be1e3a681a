"""The four priorities of the bus.

A priority is a place in a queue, never a promise about a clock: it says which
stream a topic's events travel on and which stream a host serves first.
"""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """Lower is served first; the numeric order is the order of service."""

    URGENT = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def label(self) -> str:
        """The lower-case name used in stream keys and metric labels."""
        return self.name.lower()


#: Entries a host takes from each priority in one round when all are backlogged.
#: Weighted quanta keep LOW above zero: strict draining was measured to starve it completely.
QUANTA: dict[Priority, int] = {
    Priority.URGENT: 256,
    Priority.HIGH: 128,
    Priority.NORMAL: 64,
    Priority.LOW: 16,
}
