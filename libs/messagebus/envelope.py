"""The record batch: one stream entry carrying many events.

An event's id is ``producer:sequence``. Ids are not stored per event: a batch carries the
sequence of its first event. Causation is stored by reference to the batches that were read
(``inputs``), so an event published while handling another costs one small integer::

    inputs = [Input("marketdata", 100, 3), ...]      flat index 0..2 = marketdata:100..102, 3.. = next input
    causes = [0, 0, 2]                               first two events caused by marketdata:100, third by :102
    causes = []                                      every event of the batch is a root

The correlation id (root cause) of an event is its cause's correlation id; ``roots`` holds it
where the cause is not itself a root.

What an event was computed from besides its cause (the price and the signal behind an order) is in ``references``, one
list of event ids an event. Few batches have any; those that have none are written without the field.
"""

from __future__ import annotations

from typing import Any

import msgspec

from libs.messagebus.topic import Event


class Input(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run of ``count`` consecutive events of ``producer`` starting at ``sequence``."""

    producer: str
    sequence: int
    count: int


class RecordBatch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one stream entry holds, decoded.

    Attributes:
        producer: Engine or client (plus incarnation) that published it.
        sequence: Sequence number of the first event; event ``i`` has ``sequence + i``.
        ts_publish: Publisher's clock at encoding, UNIX nanoseconds.
        events: The events, in publication order.
        inputs: Batches that ``causes`` points into.
        causes: Per event the flat index of its direct cause in ``inputs``; -1 = no cause; empty = all roots.
        roots: Per event the correlation id where it differs from the cause's own id, else ``""``; may be empty.
    """

    producer: str
    sequence: int
    ts_publish: int
    events: list[Any]
    inputs: list[Input] = []
    causes: list[int] = []
    roots: list[str] = []

    def event_id(self, index: int) -> str:
        """Id of event ``index``: ``producer:sequence``."""
        return f"{self.producer}:{self.sequence + index}"

    def causation_id(self, index: int) -> str:
        """Id of the event that directly caused event ``index``, or ``""`` for a root."""
        if not self.causes or self.causes[index] < 0:
            return ""
        offset = self.causes[index]
        for run in self.inputs:
            if offset < run.count:
                return f"{run.producer}:{run.sequence + offset}"
            offset -= run.count
        return ""

    def correlation_id(self, index: int) -> str:
        """Id of the root cause of event ``index``; a root's own id."""
        if self.roots and self.roots[index]:
            return self.roots[index]
        return self.causation_id(index) or self.event_id(index)

    def references_of(self, index: int) -> list[str]:
        """Ids of the events that event ``index`` names as what it was computed from, besides its cause."""
        return []


class ReferringBatch(RecordBatch, frozen=True, array_like=True, gc=False):
    """A record batch whose events name what they were computed from.

    Attributes:
        references: Per event the ids it names; as long as ``events``.
    """

    references: list[list[str]] = []

    def references_of(self, index: int) -> list[str]:
        """See :meth:`RecordBatch.references_of`."""
        return self.references[index]


class EventEnvelope(msgspec.Struct, frozen=True, gc=False):
    """One event with its ids, as tail readers (websocket, console, tests) see it."""

    entry_id: str
    index: int
    topic: str
    event_id: str
    correlation_id: str
    causation_id: str
    ts_publish: int
    event: Event
