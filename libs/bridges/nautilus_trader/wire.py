"""Entries of NautilusTrader's message bus: fields ``topic`` and ``payload``, a map in JSON or MessagePack.

Written and read as versions 1.221 (two fields, read by position) and 1.229 and later (``type`` and ``encoding`` beside
them, read by name) do. The encoding shows in the first byte: a JSON map begins with ``{``, which is a number in
MessagePack. Prices, quantities and times are text there; numbers are accepted too, as some builds write them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import msgspec

from libs.bridges.nautilus_trader.errors import PayloadError

Encoding = Literal["json", "msgpack"]

MAX_PAYLOAD_BYTES = 1024 * 1024
"""A quote takes 200 bytes, the largest order event below 1 kB."""

MAX_DIGITS = 28
"""Digits of a number, and places it may lie away from one; NautilusTrader's own types end below that."""

NS_PER_SECOND = 1_000_000_000

_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Message(NamedTuple):
    """One entry, decoded.

    Attributes:
        topic: As NautilusTrader names it, e.g. ``data.quotes.SIM.AUD/USD``.
        kind: Name of the type, ``""`` where the payload is no map with one (heartbeats, user data).
        body: The map; empty where ``kind`` is.
        payload: As it came.
    """

    topic: str
    kind: str
    body: dict[str, Any]
    payload: bytes


def decode_entry(fields: Mapping[bytes, bytes]) -> Message:
    """Decode the fields of an entry.

    Raises:
        PayloadError: If they are not those of a message, or too large.
    """
    try:
        topic, payload = fields[b"topic"].decode(), fields[b"payload"]
    except (KeyError, UnicodeDecodeError):
        shown = ", ".join(repr(name.decode(errors="replace")) for name in list(fields)[:8])
        raise PayloadError(f"entry must have the fields 'topic' and 'payload', was {shown or 'empty'}") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PayloadError(f"payload of '{topic}' must be at most {MAX_PAYLOAD_BYTES} bytes, was {len(payload)}")
    encoding = fields.get(b"encoding", b"json")
    if encoding not in (b"json", b"msgpack"):
        shown = encoding.decode(errors="replace")[:32]
        raise PayloadError(f"encoding of '{topic}' must be json or msgpack, was '{shown}'; set it in MessageBusConfig")
    first = payload[:1]
    is_map = first == b"{" or b"\x80" <= first <= b"\x8f" or first in (b"\xde", b"\xdf")
    if not is_map:
        return Message(topic, "", {}, payload)
    try:
        body = msgspec.json.decode(payload) if first == b"{" else msgspec.msgpack.decode(payload, strict=False)
    except _UNREADABLE as error:
        raise PayloadError(f"payload of '{topic}' must be JSON or MessagePack, was not: {error}") from None
    kind = body.get("type")
    return Message(topic, kind, body, payload) if isinstance(kind, str) else Message(topic, "", {}, payload)


def encode_entry(topic: str, kind: str, body: Mapping[str, str | bool | None], encoding: Encoding) -> list[bytes]:
    """Names and values of an entry's fields, flat, in the order that both old and new versions read.

    Args:
        topic: Where a node looks for it.
        kind: Name of the type.
        body: Its fields; all text, as NautilusTrader's decoder wants it.
        encoding: What the node is configured with.

    Raises:
        PayloadError: If the topic holds a wildcard, which once aborted nodes.
    """
    if "*" in topic or "?" in topic:
        raise PayloadError(f"topic must be without wildcards, was '{topic}'; rename the instrument")
    full = {"type": kind, **body}
    payload = msgspec.json.encode(full) if encoding == "json" else msgspec.msgpack.encode(full)
    return [
        b"topic", topic.encode(), b"payload", payload, b"type", kind.encode(), b"encoding", encoding.encode(),
    ]  # fmt: skip


# -- values -----------------------------------------------------------------------------------------


def text(body: Mapping[str, Any], name: str) -> str:
    """A field that must be text and not empty.

    Raises:
        PayloadError: If it is not.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise PayloadError(f"{name} of {body.get('type')} must be text, was {_shown(value)}")
    return value


def decimal(body: Mapping[str, Any], name: str) -> Decimal:
    """A field that must be a finite number; text is taken digit by digit, a float as its shortest text.

    Raises:
        PayloadError: If it is not.
    """
    value = body.get(name)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("nan")
        # Bounded, so that no sum is rounded (28 digits) and nothing is written out as a megabyte of zeros.
        if number.is_finite() and len(number.as_tuple().digits) <= MAX_DIGITS and abs(number.adjusted()) <= MAX_DIGITS:
            return number
    raise PayloadError(f"{name} of {body.get('type')} must be a finite number of ordinary size, was {_shown(value)}")


def number(body: Mapping[str, Any], name: str) -> float:
    """As :func:`decimal`, as a float: the nearest to the digits."""
    return float(decimal(body, name))


def money(body: Mapping[str, Any], name: str) -> tuple[Decimal, str]:
    """An amount and its currency, written ``"1.30 USD"``.

    Raises:
        PayloadError: If it is not.
    """
    parts = text(body, name).split(" ")
    if len(parts) != 2 or not all(parts):
        raise PayloadError(
            f"{name} of {body.get('type')} must be an amount with its currency, was {_shown(body[name])}"
        )
    amount, currency = parts
    return decimal({"type": body.get("type"), name: amount.replace("_", "")}, name), currency


def timestamp(body: Mapping[str, Any], name: str = "ts_event") -> int:
    """UNIX nanoseconds, from digits or ISO 8601 in UTC (``timestamps_as_iso8601``) with up to nine digits of a second.

    Raises:
        PayloadError: If it is neither.
    """
    value = body.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and int(value) < 2**63:
            return int(value)
        if match := _ISO.fullmatch(value):
            try:
                seconds = int(datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp())
            except ValueError:  # the 30th of February
                seconds = -1
            if seconds >= 0:
                return seconds * NS_PER_SECOND + int((match[2] or "").ljust(9, "0"))
    raise PayloadError(f"{name} of {body.get('type')} must be a time in UNIX nanoseconds or UTC, was {_shown(value)}")


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:64]
