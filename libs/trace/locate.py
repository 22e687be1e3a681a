"""From an event id to the stream entry that holds the event.

There is no index: an id is ``producer:sequence``, and within a stream the sequence of a producer only grows. On a
stream that one engine writes alone the entry is found by interpolation between known places, with a bisection every
third step: a handful of reads of one entry, 3 log2(milliseconds the stream covers) at worst, on each of the engine's
few streams. What anybody may write (inboxes, dead letters, system events) holds many producers in turn and is scanned
from its beginning; those streams are short.

The same code reads a live bus and a recording: whatever has ``read_range`` and ``tails``.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from libs.messagebus.codec import UNREADABLE, Codec
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import DecodeError
from libs.messagebus.topic import Event, TopicRegistry
from libs.messagebus.transport import LAST, START, Entry, entry_order
from libs.trace.errors import EventIdError, TrimmedEventError, UnknownEventError

#: Entries of one page of a scan.
PAGE = 128
#: Batches kept decoded: the events of one step lie together.
_KEPT = 64
#: Entries read at once where one of the next must be the right one.
_NEAR = 4


class EventSource(Protocol):
    """What can be searched."""

    async def read_range(self, stream: str, first: str, last: str, count: int) -> list[Entry]:
        """Entries with ``first <= id <= last``, oldest first, at most ``count``."""
        ...

    async def tails(self, streams: Sequence[str]) -> Mapping[str, str]:
        """Newest entry id of each stream, ``"0-0"`` for an empty one."""
        ...


@dataclass(frozen=True, slots=True)
class Located:
    """An event and where it lies."""

    stream: str
    entry_id: str
    batch: RecordBatch
    index: int

    @property
    def event(self) -> Event:
        """The event itself."""
        event: Event = self.batch.events[self.index]
        return event


class _Head(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The beginning of a record batch; the events stay encoded."""

    producer: str
    sequence: int
    ts_publish: int
    events: list[msgspec.Raw]


_HEADS = msgspec.msgpack.Decoder(_Head)


def split_id(event_id: str) -> tuple[str, int]:
    """Producer and sequence number.

    Raises:
        EventIdError: If it is no event id.
    """
    producer, _, sequence = event_id.rpartition(":")
    if not producer or not (sequence.isascii() and sequence.isdigit()) or len(sequence) > 19:
        raise EventIdError(f"event id must be producer:sequence (strategy:1042), was '{event_id[:100]}'")
    return producer, int(sequence)


@dataclass(frozen=True, slots=True)
class _Place:
    """The first entry at or after ``time`` (milliseconds of an entry id) begins with ``sequence``."""

    time: int
    sequence: int


@dataclass(slots=True)
class _Bounds:
    """What is known of a stream of one producer; every probe makes the next search shorter."""

    newest: int
    places: list[_Place] = field(default_factory=list)

    def note(self, time: int, sequence: int) -> _Place:
        place = _Place(time, sequence)
        insort(self.places, place, key=lambda one: (one.time, one.sequence))
        return place

    def around(self, sequence: int) -> tuple[_Place | None, _Place]:
        """The last place at or before ``sequence``, None if there is none, and the first behind it."""
        after = next(
            index for index, one in enumerate(self.places) if one.sequence > sequence or one is self.places[-1]
        )
        return (self.places[after - 1] if after else None), self.places[after]


class Locator:
    """Finds events on a bus or in a recording."""

    def __init__(self, source: EventSource, codec: Codec, registry: TopicRegistry) -> None:
        self._source = source
        self._codec = codec
        self._kept: list[tuple[str, str, RecordBatch]] = []
        self._bounds: dict[str, _Bounds] = {}
        streams: dict[str, set[str]] = {}
        for topic in registry.by_name.values():
            streams.setdefault(topic.stream, set()).add(topic.producer)
        #: Streams one engine writes alone, by engine; and those that anybody writes.
        self._own: dict[str, list[str]] = {}
        self._shared: list[str] = []
        for stream, producers in sorted(streams.items()):
            if len(producers) == 1 and "*" not in producers:
                self._own.setdefault(producers.pop(), []).append(stream)
            else:
                self._shared.append(stream)

    async def find(self, event_id: str, reader: str = "") -> Located:
        """The event with this id.

        Args:
            event_id: ``producer:sequence``.
            reader: An engine that read it, if known: its inbox is looked at first.

        Raises:
            EventIdError: If it is no event id.
            TrimmedEventError: If there are later events of its producer, but not this one any more.
            UnknownEventError: If there is nothing of its producer at or after it.
        """
        producer, sequence = split_id(event_id)
        for stream, entry_id, batch in self._kept:
            if batch.producer == producer and 0 <= sequence - batch.sequence < len(batch.events):
                return Located(stream, entry_id, batch, sequence - batch.sequence)
        newest = -1
        for stream in self._own.get(producer, ()):
            entry, last = await self._search(stream, producer, sequence)
            if entry is not None:
                return self._located(entry, sequence)
            newest = max(newest, last)
        for stream in self._shared_by(producer, reader):
            entry, last = await self._scan(stream, producer, sequence)
            if entry is not None:
                return self._located(entry, sequence)
            newest = max(newest, last)
        if newest >= sequence:
            raise TrimmedEventError(
                f"event {event_id} was trimmed away: '{producer}' has published up to {newest} and this one is on no "
                "stream any more; trace it in a recording (nautilus record) that was made while it was there"
            )
        raise UnknownEventError(
            f"event {event_id} must have been published, was not found: "
            + (f"the newest of '{producer}' is {newest}" if newest >= 0 else f"there is nothing of '{producer}'")
        )

    def _shared_by(self, producer: str, reader: str) -> list[str]:
        """Streams of many producers that may hold an event of ``producer``, the likeliest first."""
        if producer in self._own:  # engines send no commands; their dead letters are numbered with the rest
            return [stream for stream in self._shared if not stream.startswith("inbox.")]
        return sorted(self._shared, key=lambda stream: not stream.startswith(f"inbox.{reader}:"))

    # -- one stream -------------------------------------------------------------------------------

    async def _search(self, stream: str, producer: str, sequence: int) -> tuple[Entry | None, int]:
        """The entry that holds ``sequence`` on a stream of one producer, and the newest sequence there."""
        bounds = self._bounds.get(stream)
        if bounds is None or bounds.newest < sequence:
            bounds = self._bounds[stream] = await self._look_at(stream)
        low, high = bounds.around(sequence)
        if low is None or bounds.newest < sequence:
            return None, bounds.newest
        # The first entry at or after low begins at or before the sequence, the first one at or after high behind it.
        step = 0
        while high.time - low.time > 1:
            share = (sequence - low.sequence) / max(1, high.sequence - low.sequence)
            guess = (high.time - low.time) // 2 if step % 3 == 2 else int((high.time - low.time) * share)
            step += 1
            middle = low.time + min(max(guess, 1), high.time - low.time - 1)
            probe = await self._source.read_range(stream, f"{middle}-0", LAST, 1)
            first = _first_of(probe[0]) if probe else bounds.newest + 1
            if not probe or first > sequence:
                high = bounds.note(middle, first)
            elif _holds(probe[0], producer, sequence):
                return probe[0], bounds.newest
            else:
                low = bounds.note(entry_order(probe[0].entry_id)[0], first)
        position = f"{low.time}-0"
        while page := await self._source.read_range(stream, position, LAST, _NEAR):
            for entry in page:
                if _first_of(entry) > sequence:
                    return None, bounds.newest
                if _holds(entry, producer, sequence):
                    return entry, bounds.newest
            if page[-1].entry_id == position:
                break
            position = page[-1].entry_id
        return None, bounds.newest

    async def _look_at(self, stream: str) -> _Bounds:
        first = await self._source.read_range(stream, START, LAST, 1)
        tail = (await self._source.tails([stream]))[stream]
        last = await self._source.read_range(stream, tail, LAST, 1)
        bounds = _Bounds(_last_of(last[0]) if last else -1)
        if first:
            bounds.note(entry_order(first[0].entry_id)[0], _first_of(first[0]))
        bounds.note(entry_order(tail)[0] + 1, bounds.newest + 1)
        return bounds

    async def _scan(self, stream: str, producer: str, sequence: int) -> tuple[Entry | None, int]:
        position, newest = START, -1
        while page := await self._source.read_range(stream, position, LAST, PAGE):
            for entry in page:
                if _holds(entry, producer, sequence):
                    return entry, sequence
                if (head := _head(entry)) is not None and head.producer == producer:
                    newest = max(newest, head.sequence + len(head.events) - 1)
            if page[-1].entry_id == position:
                break
            position = page[-1].entry_id  # read once more, which does no harm
        return None, newest

    def _located(self, entry: Entry, sequence: int) -> Located:
        try:
            batch = self._codec.decode(entry.data)
        except DecodeError:
            batch, _ = self._codec.salvage(entry.data)
        self._kept = [(entry.stream, entry.entry_id, batch), *self._kept[: _KEPT - 1]]
        return Located(entry.stream, entry.entry_id, batch, sequence - batch.sequence)


def _head(entry: Entry) -> _Head | None:
    try:
        return _HEADS.decode(entry.data)
    except UNREADABLE:
        return None


def _first_of(entry: Entry) -> int:
    head = _head(entry)
    return head.sequence if head is not None else -1


def _last_of(entry: Entry) -> int:
    head = _head(entry)
    return head.sequence + len(head.events) - 1 if head is not None else -1


def _holds(entry: Entry, producer: str, sequence: int) -> bool:
    head = _head(entry)
    return head is not None and head.producer == producer and 0 <= sequence - head.sequence < len(head.events)
