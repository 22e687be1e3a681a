"""Record batches to bytes and back (MessagePack through msgspec).

One decoder for the union of all registered events: a tagged, array-like, frozen struct of
96 bytes decodes in about 0.35 microseconds inside a batch, 12 to 16 times faster than stdlib json.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

import msgspec

from libs.messagebus.envelope import Input, RecordBatch, ReferringBatch
from libs.messagebus.errors import DecodeError
from libs.messagebus.topic import Event, Topic

#: Entries above this are refused on both sides: 512 events of market data are about 50 kB.
MAX_ENTRY_BYTES = 8 * 1024 * 1024

#: Events of one entry; the largest batch a publisher may be set to. Eight megabytes of one-byte elements would become a
#: gigabyte of objects; the decoder looks at the announced length before it makes any.
MAX_ENTRY_EVENTS = 65_536
_AT_MOST = msgspec.Meta(max_length=MAX_ENTRY_EVENTS)

#: What msgspec raises for bytes it cannot take; text that is no UTF-8 is a ValueError there, not a MsgspecError.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class BadEvent:
    """One event of a batch that could not be decoded; the rest of its batch could."""

    index: int
    payload: bytes
    error: str


class _RawBatch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    producer: str
    sequence: int
    ts_publish: int
    events: Annotated[list[msgspec.Raw], _AT_MOST]
    inputs: Annotated[list[Input], _AT_MOST] = []
    causes: Annotated[list[int], _AT_MOST] = []
    roots: Annotated[list[str], _AT_MOST] = []
    references: Annotated[list[list[str]], _AT_MOST] = []


_RAW = msgspec.msgpack.Decoder(_RawBatch)


class Codec:
    """Encodes and decodes the record batches of one set of topics."""

    def __init__(self, topics: Iterable[Topic[Any]]) -> None:
        types = [topic.event for topic in topics]
        union: Any = reduce(or_, types)
        self._encoder = msgspec.msgpack.Encoder()
        self._batch = msgspec.msgpack.Decoder(
            msgspec.defstruct(
                "TypedBatch",
                [
                    ("producer", str),
                    ("sequence", int),
                    ("ts_publish", int),
                    ("events", Annotated[list[union], _AT_MOST]),
                    ("inputs", Annotated[list[Input], _AT_MOST], []),
                    ("causes", Annotated[list[int], _AT_MOST], []),
                    ("roots", Annotated[list[str], _AT_MOST], []),
                    ("references", Annotated[list[list[str]], _AT_MOST], []),
                ],
                bases=(RecordBatch,),
                frozen=True,
                array_like=True,
                gc=False,
            )
        )
        self._event = msgspec.msgpack.Decoder(union)

    def encode(self, batch: RecordBatch) -> bytes:
        """Encode a batch."""
        return self._encoder.encode(batch)

    def decode(self, data: bytes) -> RecordBatch:
        """Decode a whole batch.

        Raises:
            DecodeError: If any part is malformed; :meth:`salvage` separates good events from bad ones.
        """
        _check_size(data)
        try:
            typed: Any = self._batch.decode(data)
        except UNREADABLE as error:
            raise DecodeError(f"entry is no record batch of this registry: {error}") from error
        _check_lengths(typed)
        return _batch_of(typed, typed.events)

    def salvage(self, data: bytes) -> tuple[RecordBatch, list[BadEvent]]:
        """Decode event by event; undecodable ones become ``None`` in ``events`` and a :class:`BadEvent`.

        Raises:
            DecodeError: If the envelope itself is malformed.
        """
        _check_size(data)
        raw = raw_batch(data)
        events: list[Event | None] = []
        bad: list[BadEvent] = []
        for index, payload in enumerate(raw.events):
            try:
                events.append(self._event.decode(payload))
            except UNREADABLE as error:
                events.append(None)
                bad.append(BadEvent(index, bytes(payload), str(error)))
        return msgspec.structs.replace(raw, events=events), bad

    def encode_event(self, event: Event) -> bytes:
        """Encode one event alone (hashes, dead letters)."""
        return self._encoder.encode(event)

    def decode_event(self, data: bytes) -> Event:
        """Decode one event alone.

        Raises:
            DecodeError: If it is of no registered type.
        """
        try:
            event: Event = self._event.decode(data)
            return event
        except UNREADABLE as error:
            raise DecodeError(f"bytes are no event of this registry: {error}") from error


def _check_size(data: bytes) -> None:
    if len(data) > MAX_ENTRY_BYTES:
        raise DecodeError(f"entry must be at most {MAX_ENTRY_BYTES} bytes, was {len(data)}; publish smaller batches")


def raw_batch(data: bytes) -> RecordBatch:
    """A record batch whose events stay bytes (``msgspec.Raw``), for who passes them on without knowing their types.

    Raises:
        DecodeError: If the envelope is malformed or too large.
    """
    try:
        raw = _RAW.decode(data)
    except UNREADABLE as error:
        raise DecodeError(f"entry is no record batch: {error}") from error
    _check_lengths(raw)
    return _batch_of(raw, raw.events)


def _batch_of(found: Any, events: list[Any]) -> RecordBatch:
    if found.references:
        return ReferringBatch(
            found.producer, found.sequence, found.ts_publish, events, found.inputs, found.causes, found.roots,
            found.references,
        )  # fmt: skip
    return RecordBatch(
        found.producer, found.sequence, found.ts_publish, events, found.inputs, found.causes, found.roots
    )


def _check_lengths(batch: Any) -> None:
    """Refuse causes and the like that do not match the events; looking one up would fail later, inside a host."""
    for name, values in (("causes", batch.causes), ("roots", batch.roots), ("references", batch.references)):
        if values and len(values) != len(batch.events):
            raise DecodeError(f"entry must carry {len(batch.events)} {name} or none, was {len(values)}")
