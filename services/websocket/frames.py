"""Frames of the dialect ``nautilus.v1``: JSON text, decoded strictly, encoded once for all who get them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.messagebus.envelope import EventEnvelope
from libs.messagebus.topic import Event

SUBPROTOCOL: Final = "nautilus.v1"

_POSITION = re.compile(r"(\d{1,20}-\d{1,20})(?:\.(\d{1,9}))?")


class _Frame(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", frozen=True):
    """Base of what a client may send; ``id`` comes back in the answer."""


class Auth(_Frame, tag="auth", frozen=True):
    """Who the client is."""

    token: str
    id: str | int | None = None


class Subscribe(_Frame, tag="subscribe", frozen=True):
    """Topics and patterns to receive; ``from_`` resumes one of them after the position given."""

    topics: list[str]
    id: str | int | None = None
    from_: dict[str, str] = msgspec.field(default_factory=dict, name="from")
    snapshot: bool = True


class Unsubscribe(_Frame, tag="unsubscribe", frozen=True):
    """Topics and patterns to receive no more."""

    topics: list[str]
    id: str | int | None = None


class Ping(_Frame, tag="ping", frozen=True):
    """Are you there?"""

    id: str | int | None = None


class Heartbeat(_Frame, tag="heartbeat", frozen=True):
    """The same as a ping."""

    id: str | int | None = None


class Stats(_Frame, tag="stats", frozen=True):
    """What has this connection seen?"""

    id: str | int | None = None


ClientFrame = Auth | Subscribe | Unsubscribe | Ping | Heartbeat | Stats

_decoder = msgspec.json.Decoder(ClientFrame)
_encoder = msgspec.json.Encoder()


class FrameError(Exception):
    """Text that is no frame of this dialect; the message says what is wrong with it."""


def decode(payload: bytes) -> ClientFrame:
    """Read one client frame.

    Raises:
        FrameError: If it is none.
    """
    try:
        frame: ClientFrame = _decoder.decode(payload)
        return frame
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError(str(error)) from None


def encode(frame: Mapping[str, Any]) -> bytes:
    """One server frame as the bytes that go over the wire, header included (RFC 6455, 5.2: unmasked text)."""
    return wire(_encoder.encode(frame))


def wire(payload: bytes, opcode: int = 0x1) -> bytes:
    """``payload`` behind a websocket frame header; a server's frames carry no mask, so all clients share them."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8) + payload


def position_id(entry_id: str, index: int) -> str:
    """Where an event lies: a client that lost its connection resumes after it."""
    return f"{entry_id}.{index}"


def parse_position(text: str) -> tuple[str, int]:
    """Entry id and index of a position; without an index the whole entry was seen.

    Raises:
        ValueError: If it is none.
    """
    found = _POSITION.fullmatch(text)
    if found is None:
        raise ValueError(f"a position must be the id of a message, e.g. '1700000000000-0.3', was '{text[:50]}'")
    return found[1], int(found[2]) if found[2] else 2**31


def data_body(envelope: EventEnvelope, topic: str) -> bytes:
    """An event as the inside of a data frame, without its opening; see :func:`data_frame`."""
    event = envelope.event
    producer = envelope.event_id.rpartition(":")[0]
    body = {
        "topic": topic,
        "id": position_id(envelope.entry_id, envelope.index),
        "event_id": envelope.event_id,
        "ts_event": event.ts_event,
        "ts_publish": envelope.ts_publish,
        "correlation_id": envelope.correlation_id,
        "source": getattr(event, "source", "") or producer,
        "is_synthetic": getattr(event, "is_synthetic", None),
        "data": fields_of(event),
    }
    return _encoder.encode(body)[1:]


_OPENINGS: Final = {
    "live": b'{"type":"data",',
    "snapshot": b'{"type":"data","snapshot":true,',
    "replay": b'{"type":"data","replay":true,',
}


def data_frame(body: bytes, kind: str = "live") -> bytes:
    """A data frame from its inside; ``kind`` is live, snapshot (the newest value) or replay (after ``from``)."""
    return wire(_OPENINGS[kind] + body)


def fields_of(event: Event | msgspec.Struct) -> dict[str, Any]:
    """An event's fields by name: decimals as plain strings, what is not finite as null."""
    return {name: _plain(getattr(event, name)) for name in event.__struct_fields__ if name != "ts_event"}


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.hex() if isinstance(value, bytes) else str(value)
