"""A small set of topics for tests of the bus itself, with every priority and two families."""

from __future__ import annotations

from libs.messagebus.codec import Codec
from libs.messagebus.priority import Priority
from libs.messagebus.topic import Event, Topic, TopicRegistry


class Ticked(Event, frozen=True, tag="test.ticked.v1"):
    """The common event: a symbol and a price."""

    symbol: str
    price: float


class Noted(Event, frozen=True, tag="test.noted.v1"):
    """A LOW event with a payload of any size."""

    text: str


class Halted(Event, frozen=True, tag="test.halted.v1"):
    """An URGENT event."""

    reason: str


TICKED = Topic("test.ticked", Ticked, "ticks", "tester", key="symbol")
NOTED = Topic("test.noted", Noted, "notes", "tester", Priority.LOW)
HALTED = Topic("test.halted", Halted, "ticks", "tester", Priority.URGENT)
TOPICS = (TICKED, NOTED, HALTED)
REGISTRY = TopicRegistry.of(TOPICS)
CODEC = Codec(TOPICS)
