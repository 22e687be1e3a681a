"""Typed topics: the unit of the bus contract.

A topic binds a name to exactly one event type. The tie is one to one in both
directions, so the wire carries no topic name: the tag of the event says it, and
``mypy`` rejects a handler or a publish of the wrong type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from libs.messagebus.errors import TopicError
from libs.messagebus.priority import Priority


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of everything on the bus: immutable, encoded as a tagged array.

    Attributes:
        ts_event: When it happened, integer UNIX nanoseconds, in the fleet's time
            (the replayed day in a replay, the wall clock in live trading).

    New fields are appended and have defaults; a field is never removed or reordered.
    """

    ts_event: int


E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Topic(Generic[E]):
    """One topic of the bus.

    Attributes:
        name: Dotted public name, for example ``orders.filled``.
        event: The one event type it carries.
        family: Stream family; topics of one family and priority share a stream, in publication order.
        producer: Name of the one engine that publishes it (``*`` = any, for system topics).
        priority: Which of the family's four streams it travels on.
        key: Field of the event that names what it is about (``symbol``), or ``""``.
        retention: Entries the stream keeps at least, once every reader's snapshot has passed them.
        conflate: Whether a slow subscriber may be given the newest event per key only.
        moves_clock: Whether the clock of a replaying engine follows this topic's ``ts_event``. True for the data
            itself; never for what a person sends, whose time is today.
        description: One line for the generated catalogue.
        stream: Stream name without the fleet prefix: ``family:priority``. Stored, as it is read once an event.
    """

    name: str
    event: type[E]
    family: str
    producer: str
    priority: Priority = Priority.NORMAL
    key: str = ""
    retention: int = 10_000
    conflate: bool = False
    moves_clock: bool = False
    description: str = ""
    stream: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stream", f"{self.family}:{self.priority.label}")

    def key_of(self, event: E) -> str:
        """The value of the key field of ``event``, or ``""`` for a topic without one."""
        return str(getattr(event, self.key)) if self.key else ""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of an engine's routing table; build it with :func:`on`."""

    topic: Topic[Any]
    handler: Callable[[Any], None]


def on(topic: Topic[E], handler: Callable[[E], None]) -> Route:
    """Bind ``handler`` to ``topic``; the type checker ties the two together."""
    return Route(topic, handler)


@dataclass(slots=True)
class TopicRegistry:
    """All topics of a fleet, indexed by name and by event type.

    Raises:
        TopicError: If a name, an event type or an event tag is registered twice.
    """

    by_name: dict[str, Topic[Any]] = field(default_factory=dict)
    by_event: dict[type[Event], Topic[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, topics: Iterable[Topic[Any]]) -> TopicRegistry:
        """Build a registry, refusing duplicates."""
        registry = cls()
        tags: dict[str, str] = {}
        for topic in topics:
            if topic.name in registry.by_name:
                raise TopicError(f"topic name must be unique, was '{topic.name}' twice; rename one of them")
            if topic.event in registry.by_event:
                other = registry.by_event[topic.event].name
                raise TopicError(
                    f"event {topic.event.__name__} must belong to one topic, was '{other}' and '{topic.name}'; "
                    "define a second event type"
                )
            tag = str(topic.event.__struct_config__.tag)
            if tag in tags:
                raise TopicError(f"event tag must be unique, was '{tag}' for '{tags[tag]}' and '{topic.name}'")
            if topic.key and topic.key not in topic.event.__struct_fields__:
                raise TopicError(
                    f"key of '{topic.name}' must be a field of {topic.event.__name__}, was '{topic.key}'; "
                    f"use one of {', '.join(topic.event.__struct_fields__)}"
                )
            tags[tag] = topic.name
            registry.by_name[topic.name] = topic
            registry.by_event[topic.event] = topic
        return registry

    def topic_of(self, event: Event) -> Topic[Any]:
        """The topic of an event.

        Raises:
            TopicError: If the event's type belongs to no topic.
        """
        try:
            return self.by_event[type(event)]
        except KeyError:
            raise TopicError(
                f"event type must belong to a registered topic, was {type(event).__name__}; add a Topic to the registry"
            ) from None

    def streams(self) -> list[str]:
        """All stream names, sorted."""
        return sorted({topic.stream for topic in self.by_name.values()})
