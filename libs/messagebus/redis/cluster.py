"""Finds the node of a Redis Cluster that owns the slot of a fleet.

All keys of a fleet carry one hash tag, so one node holds all of them and a fleet talks to that node alone; a larger
cluster holds more fleets, not a larger one. A slot that moves answers MOVED: the connections are dropped and the owner
is looked for again.
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Any

from libs.messagebus.errors import MessageBusError, TransportError, TransportRefusedError
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.messagebus.redis.replies import ReplyError, meaning_of

SLOTS = 16384


class SlotMovedError(TransportError):
    """The slot is on another node now; the same call, repeated, goes there."""


def hash_tag(key: str) -> str:
    """The part of ``key`` that decides its slot: what stands in its first braces, unless that is nothing."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key


def hash_slot(key: str) -> int:
    """The slot of a key: CRC16 (XMODEM) of its hash tag modulo 16384, after the Redis Cluster specification."""
    return crc_hqx(hash_tag(key).encode(), 0) % SLOTS


async def find_owner(address: RedisAddress, prefix: str, timeout_s: float) -> RedisAddress:
    """The address of the node that holds the keys beginning with ``prefix``; the nodes are asked in order.

    Args:
        address: Of kind ``cluster``.
        prefix: Beginning of every key, with a hash tag.
        timeout_s: Limit of connecting to one node.

    Raises:
        TransportError: If no node can be asked, or nobody owns the slot now.
        TransportRefusedError: If the nodes refuse the login or are no cluster.
    """
    slot = hash_slot(prefix)
    errors: list[MessageBusError] = []
    for host, port in address.nodes:
        try:
            connection = await Connection.open(address.server_at(host, port), timeout_s)
            try:
                (reply,) = await connection.send([("CLUSTER", "SLOTS")])
            finally:
                connection.close()
            if isinstance(reply, ReplyError):
                raise _meaning(reply, f"{host}:{port}")
            return address.server_at(*_owner(reply, slot, host))
        except MessageBusError as error:
            errors.append(error)
    reasons = "; ".join(str(error) for error in errors)
    refused = all(isinstance(error, TransportRefusedError) for error in errors)
    raise (TransportRefusedError if refused else TransportError)(
        f"a node of {address.label} must say who owns slot {slot} of '{prefix}', none did: {reasons}"
    )


def _owner(ranges: list[Any], slot: int, asked: str) -> tuple[str, int]:
    for first, last, primary, *_ in ranges:
        if first <= slot <= last:
            # A node that does not know its own address (nobody has told it yet) leaves it out: it is the one we asked.
            host = primary[0].decode() if primary[0] else asked
            return host if host != "?" else asked, int(primary[1])
    raise TransportError(f"slot {slot} must have an owner, was without; the cluster is incomplete, repair it")


def _meaning(reply: ReplyError, label: str) -> MessageBusError:
    if "cluster support disabled" in str(reply):
        return TransportRefusedError(
            f"Redis at {label} must be a node of a cluster, was a single server; write redis://{label} instead"
        )
    return meaning_of(reply, label)
