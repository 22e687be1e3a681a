"""Messages of several streams in one order, as near to the order in which they were sent as can be known.

With ``stream_per_topic`` (NautilusTrader's default) a node writes each topic to a stream of its own, and entry ids
order streams only by the millisecond. Within one, the node's own time decides (``ts_init``), then data before orders
before the rest. The order within a stream is never changed, and one that was not read to its end holds the others back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import merge
from typing import NamedTuple

from libs.bridges.nautilus_trader.errors import BridgeError
from libs.bridges.nautilus_trader.wire import Message, decode_entry, timestamp
from libs.messagebus.transport import entry_order

Fields = Mapping[bytes, bytes]


class Received(NamedTuple):
    """One entry: where it lies, and the message in it, or why there is none."""

    key: str
    entry_id: str
    message: Message
    error: BridgeError | None


def in_order(streams: Mapping[str, Sequence[tuple[str, Fields]]], full: int) -> list[Received]:
    """Merge what one read found.

    Args:
        streams: Entries by stream, oldest first.
        full: Count at which a stream may hold more than was read.

    Returns:
        The messages up to the last one of the streams that hold more, each stream from its beginning on.
    """
    ends = [entry_order(entries[-1][0]) for entries in streams.values() if len(entries) >= full]
    end = min(ends) if ends else None
    lists = []
    for key in sorted(streams):
        entries = streams[key]
        kept = [entry for entry in entries if end is None or entry_order(entry[0]) <= end]
        lists.append([_received(key, entry_id, fields) for entry_id, fields in kept])
    return list(merge(*lists, key=_moment))


def _received(key: str, entry_id: str, fields: Fields) -> Received:
    try:
        return Received(key, entry_id, decode_entry(fields), None)
    except BridgeError as error:
        return Received(key, entry_id, Message("", "", {}, fields.get(b"payload", b"")), error)


def _moment(one: Received) -> tuple[int, int, int]:
    try:
        sent = timestamp(one.message.body, "ts_init")
    except BridgeError:
        sent = 0
    topic = one.message.topic
    rank = 0 if topic.startswith("data.") else 1 if topic.startswith("events.order.") else 2
    return entry_order(one.entry_id)[0], sent, rank
