"""The topic registry refuses what would be ambiguous on the wire."""

from __future__ import annotations

import pytest

from libs.messagebus import Event, Priority, Topic, TopicError, TopicRegistry
from libs.testing.bus_topics import HALTED, NOTED, REGISTRY, TICKED, TOPICS, Halted, Noted, Ticked


class SameTag(Event, frozen=True, tag="test.ticked.v1"):
    pass


class Unregistered(Event, frozen=True, tag="test.unregistered.v1"):
    pass


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        (Topic("test.ticked", Unregistered, "ticks", "tester"), "name must be unique, was 'test.ticked' twice"),
        (Topic("test.other", Ticked, "ticks", "tester"), "Ticked must belong to one topic, was 'test.ticked' and"),
        (Topic("test.other", SameTag, "ticks", "tester"), "tag must be unique, was 'test.ticked.v1' for 'test.ticked'"),
        (
            Topic("test.other", Unregistered, "ticks", "tester", key="symbol"),
            "key of 'test.other' must be a field of Unregistered, was 'symbol'; use one of ts_event",
        ),
    ],
    ids=["name", "event", "tag", "key"],
)
def test_ambiguous_topics_are_refused(topic: Topic[Event], text: str) -> None:
    with pytest.raises(TopicError) as raised:
        TopicRegistry.of([*TOPICS, topic])
    assert text in str(raised.value)


def test_an_event_finds_its_topic_and_stream() -> None:
    assert REGISTRY.topic_of(Noted(1, "x")) is NOTED
    assert REGISTRY.topic_of(Halted(1, "x")) is HALTED
    assert (TICKED.stream, NOTED.stream, HALTED.stream) == ("ticks:normal", "notes:low", "ticks:urgent")
    assert REGISTRY.streams() == ["notes:low", "ticks:normal", "ticks:urgent"]
    assert TICKED.key_of(Ticked(1, "AAPL.XNAS", 2.0)) == "AAPL.XNAS"
    assert NOTED.key_of(Noted(1, "x")) == ""


def test_an_unregistered_event_is_named() -> None:
    with pytest.raises(TopicError, match="was Unregistered; add a Topic"):
        REGISTRY.topic_of(Unregistered(1))


def test_priorities_are_served_in_numeric_order() -> None:
    assert sorted(Priority) == [Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW]
    assert [priority.label for priority in Priority] == ["urgent", "high", "normal", "low"]
