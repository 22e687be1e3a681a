"""An event walked back to what it came from, with every value on the way.

Each event has one cause (the event being handled when it was published) and any number of references (what the engine
says it was computed from, see :mod:`libs.engine.references`). The walk follows both, shows an event once however many
ways lead to it, and ends at what comes from outside: market data and commands. The command by which a source brought a
price in is named and not followed; it holds the same price once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from libs.engine.plain import iso, plain
from libs.messagebus.topic import TopicRegistry
from libs.trace.errors import EventIdError, TrimmedEventError, UnknownEventError
from libs.trace.locate import Located, Locator

Relation = Literal["", "cause", "reference"]

#: Events of a walk; a fill has about 20.
MAX_EVENTS: Final = 200
#: Family whose events come from outside.
_MARKET: Final = "market"
_ROLES: Final = {
    "orders.filled": "fill",
    "venue.report": "execution report",
    "orders.submitted": "order, passed by the gate",
    "orders.denied": "order, denied by the gate",
    "strategy.signal": "signal",
    "features.calculated": "features",
    "factors.calculated": "factors",
    "ml.predictions": "prediction",
    "ml.training_updates": "model",
    "portfolio.snapshot": "valuation",
    "marketdata.step": "step",
    "system.halt": "halt",
}


@dataclass(slots=True)
class TraceNode:
    """One event of a walk.

    Attributes:
        relation: What it is to the node above; ``""`` for the one that was asked for.
        values: Every field of the event, decimals as strings; empty where the event is missing or shown before.
        cause: Id of its cause, ``""`` for a root; named also where the walk does not follow it.
        correlation: Id of the event that began it all.
        missing: Why the event cannot be shown; ``""`` if it is.
        is_repeated: Shown before in this walk.
    """

    event_id: str
    relation: Relation = ""
    topic: str = ""
    role: str = ""
    ts_event: int = 0
    stream: str = ""
    entry_id: str = ""
    cause: str = ""
    correlation: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    links: list[TraceNode] = field(default_factory=list)
    missing: str = ""
    is_repeated: bool = False

    def as_plain(self) -> dict[str, Any]:
        """The walk as JSON can carry it."""
        shown: dict[str, Any] = {"event_id": self.event_id, "relation": self.relation or None}
        if self.missing:
            return shown | {"missing": self.missing}
        shown |= {"topic": self.topic, "role": self.role}
        if self.is_repeated:
            return shown | {"repeated": True}
        return shown | {
            "ts_event": self.ts_event,
            "time": iso(self.ts_event),
            "stream": self.stream,
            "entry_id": self.entry_id,
            "causation_id": self.cause or None,
            "correlation_id": self.correlation,
            "event": self.values,
            "links": [link.as_plain() for link in self.links],
        }

    def flat(self) -> list[TraceNode]:
        """This node and everything below it, in the order of the walk."""
        found = [self]
        for link in self.links:
            found.extend(link.flat())
        return found


@dataclass(slots=True)
class Tracer:
    """Walks events back.

    Args:
        follow_sources: Also show the commands by which market data came in.
    """

    locator: Locator
    registry: TopicRegistry
    follow_sources: bool = False
    _seen: dict[str, TraceNode] = field(default_factory=dict)

    async def trace(self, event_id: str) -> TraceNode:
        """Walk ``event_id`` back.

        Raises:
            EventIdError, UnknownEventError, TrimmedEventError: If that very event cannot be found; what is missing
                further back is told in its place.
        """
        self._seen = {}
        return await self._node(event_id, "", await self.locator.find(event_id))

    async def _node(self, event_id: str, relation: Relation, found: Located) -> TraceNode:
        node = self._seen[event_id] = self._shown(event_id, relation, found)
        reader = found.batch.producer
        if node.cause and self._follows_cause(found):
            node.links.append(await self._linked(node.cause, "cause", reader))
        for reference in found.batch.references_of(found.index):
            if reference != node.cause:
                node.links.append(await self._linked(reference, "reference", reader))
        return node

    async def _linked(self, event_id: str, relation: Relation, reader: str) -> TraceNode:
        known = self._seen.get(event_id)
        if known is not None:
            return TraceNode(event_id, relation, known.topic, known.role, is_repeated=True)
        if len(self._seen) >= MAX_EVENTS:
            return TraceNode(event_id, relation, missing=f"the walk ends after {MAX_EVENTS} events; trace this one")
        try:
            found = await self.locator.find(event_id, reader)
        except (TrimmedEventError, UnknownEventError, EventIdError) as error:
            return TraceNode(event_id, relation, missing=str(error))
        return await self._node(event_id, relation, found)

    def _shown(self, event_id: str, relation: Relation, found: Located) -> TraceNode:
        batch, index = found.batch, found.index
        event = batch.events[index]
        if event is None:
            text = f"entry {found.entry_id} of '{found.stream}' holds it in a form this version cannot decode"
            return TraceNode(event_id, relation, missing=text)
        topic = self.registry.topic_of(event).name
        role = _ROLES.get(topic) or ("market event" if topic.startswith("marketdata.") else topic)
        return TraceNode(
            event_id, relation, topic, role, event.ts_event, found.stream, found.entry_id, batch.causation_id(index),
            batch.correlation_id(index), plain(event),
        )  # fmt: skip

    def _follows_cause(self, found: Located) -> bool:
        event = found.batch.events[found.index]
        return self.follow_sources or event is None or self.registry.topic_of(event).family != _MARKET
