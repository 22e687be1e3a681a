"""The bounded buffer of a publisher and what happens when it is full."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Literal

from libs.messagebus.batching import Item, Tracked
from libs.messagebus.errors import BufferFullError
from libs.messagebus.priority import Priority
from libs.messagebus.progress import Progress
from libs.messagebus.topic import Event, TopicRegistry

FullPolicy = Literal["wait", "fail", "drop_low"]

_REMEDY: Final[dict[FullPolicy, str]] = {
    "wait": "await publish_wait or publish_confirmed instead",
    "fail": "publish slower, or raise max_buffer",
    "drop_low": "nothing of LOW priority is left to drop; publish slower, or raise max_buffer",
}


class EventBuffer:
    """Events that wait to be written, oldest first.

    Attributes:
        streams: Stream of every event type seen so far.
        dropped: LOW events dropped under ``drop_low``.
    """

    def __init__(self, registry: TopicRegistry, max_events: int, policy: FullPolicy, progress: Progress) -> None:
        """Make an empty buffer for ``max_events`` events that tells ``progress`` what it drops."""
        self.streams: dict[type[Any], str] = {}
        self.dropped = 0
        self._registry = registry
        self._max_events = max_events
        self._policy: FullPolicy = policy
        self._progress = progress
        self._items: list[Item] = []
        self._space = asyncio.Event()

    def __len__(self) -> int:
        """Events that wait."""
        return len(self._items)

    def put(self, item: Item) -> None:
        """Take an item in; under ``drop_low`` a full buffer of more important events drops a LOW one silently.

        Raises:
            BufferFullError: If there is no room and the policy makes none.
            TopicError: If the event belongs to no topic.
        """
        items = self._items
        if type(item) not in self.streams:
            event = item.event if isinstance(item, Tracked) else item
            self.streams[type(event)] = self._registry.topic_of(event).stream
        if len(items) >= self._max_events and not self._make_room(item):
            return
        items.append(item)

    def put_many(self, events: Sequence[Event]) -> None:
        """Take in events that nobody waits for: all of them, or under ``drop_low`` as many as :meth:`put` would.

        Raises:
            BufferFullError: If there is no room for all of them; none was taken.
            TopicError: If one belongs to no topic; none was taken.
        """
        for kind in dict.fromkeys(map(type, events)):  # in C: 30 ns an event
            if kind not in self.streams:
                first = next(event for event in events if type(event) is kind)
                self.streams[kind] = self._registry.topic_of(first).stream
        if len(self._items) + len(events) <= self._max_events:
            self._items.extend(events)
        elif self._policy == "drop_low":
            for event in events:
                self.put(event)
        else:
            raise self._full()

    def take(self, count: int) -> list[Item]:
        """Remove and return the oldest ``count`` items."""
        taken = self._items[:count]
        del self._items[:count]
        self._space.set()
        return taken

    async def wait_for_room(self, count: int = 1) -> None:
        """Under the policy ``wait``, wait until there is room for ``count`` events; otherwise return at once."""
        while self._policy == "wait" and len(self._items) + count > self._max_events:
            self._space.clear()
            await self._space.wait()

    def _make_room(self, item: Item) -> bool:
        if self._policy == "drop_low":
            for index, waiting in enumerate(self._items):
                if self._is_expendable(waiting):
                    del self._items[index]
                    self.dropped += 1
                    self._progress.finish(1)
                    return True
            if self._is_expendable(item):
                self.dropped += 1
                return False
        raise self._full()

    def _full(self) -> BufferFullError:
        return BufferFullError(
            f"buffer of the publisher must have room, was full with {len(self._items)} events; {_REMEDY[self._policy]}"
        )

    def _is_expendable(self, item: Item) -> bool:
        """LOW, and nobody waits for its confirmation."""
        if isinstance(item, Tracked):
            return item.confirmed is None and self._is_expendable(item.event)
        return self._registry.topic_of(item).priority is Priority.LOW
