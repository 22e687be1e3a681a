"""Replies of Redis into the types of the transport protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from libs.messagebus.errors import TrimmedError
from libs.messagebus.transport import Entry, entry_order


def text_pairs(flat: Sequence[bytes]) -> dict[str, str]:
    """A flat field, value, field, value ... reply as text."""
    return {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}


def byte_pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A flat field, value, field, value ... reply whose values are bytes."""
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


def stream_entries(stream: str, reply: Iterable[Any]) -> list[Entry]:
    """Entries of one stream: ``[[id, [field, data]], ...]``."""
    return [Entry(stream, entry_id.decode(), fields[1]) for entry_id, fields in reply]


def read_entries(reply: Iterable[Any] | None, key_prefix: str) -> list[Entry]:
    """Entries of an XREAD over several streams; None is its answer when there are none."""
    skip = len(key_prefix.encode())
    return [entry for key, entries in reply or () for entry in stream_entries(key[skip:].decode(), entries)]


def check_not_trimmed(positions: Mapping[str, str], trimmed: Sequence[bytes | None]) -> None:
    """Compare positions with the newest trimmed id of each stream, in the same order.

    Raises:
        TrimmedError: If a stream was trimmed past its position.
    """
    for (name, position), newest in zip(positions.items(), trimmed, strict=True):
        if newest is not None and entry_order(newest.decode()) > entry_order(position):
            raise TrimmedError(
                f"stream '{name}' was trimmed up to entry {newest.decode()}, was read from {position}; "
                "restore the reader from a snapshot at or after that entry"
            )
