"""Asks Redis Sentinel which server is the primary of a service.

Every sentinel of the URL is asked at the same time, and the answer of the newest configuration wins: one that was cut
off from the others during a failover still names the old primary. A sentinel that does not answer in a quarter of
the connection's time limit counts as absent.
"""

from __future__ import annotations

import asyncio

from libs.messagebus.errors import MessageBusError, TransportError, TransportRefusedError
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Connection
from libs.messagebus.redis.replies import ReplyError, meaning_of


async def find_primary(address: RedisAddress, timeout_s: float) -> RedisAddress:
    """The address of the primary now, after the sentinels.

    Args:
        address: Of kind ``sentinel``.
        timeout_s: Limit of connecting, of which each sentinel gets a quarter.

    Raises:
        TransportError: If no sentinel knows a primary (yet); asking again later may succeed.
        TransportRefusedError: If every sentinel that answers refuses the login or does not know the service.
    """
    asked = [_ask(address, host, port, timeout_s / 4) for host, port in address.nodes]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    found = [answer for answer in answers if isinstance(answer, tuple)]
    if found:
        _, host, port = max(found)
        return address.server_at(host, port)
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    for error in errors:
        if not isinstance(error, MessageBusError):
            raise error
    reasons = "; ".join(str(error) for error in errors)
    refused = all(isinstance(error, TransportRefusedError) for error in errors)
    raise (TransportRefusedError if refused else TransportError)(
        f"a sentinel of {address.label} must name the primary of '{address.service}', none did: {reasons}"
    )


async def _ask(address: RedisAddress, host: str, port: int, timeout_s: float) -> tuple[int, str, int]:
    """Configuration epoch, host and port as one sentinel tells them."""
    label = f"sentinel {host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            connection = await Connection.open(address.sentinel_at(host, port), timeout_s)
            try:
                (reply,) = await connection.send([("SENTINEL", "MASTER", address.service)])
            finally:
                connection.close()
    except TimeoutError:
        raise TransportError(f"{label} must answer within {timeout_s:g} s, was silent") from None
    if isinstance(reply, ReplyError):
        if "No such master" in str(reply):
            raise TransportRefusedError(
                f"{label} must watch a service named '{address.service}', was another; correct the URL"
            )
        raise meaning_of(reply, label)
    # RESP2: a flat list of names and values.
    facts = {reply[i].decode(): reply[i + 1].decode() for i in range(0, len(reply), 2)}
    if facts["port"] == "0":  # what a sentinel says that was told of no address yet
        raise TransportError(f"{label} must know the primary of '{address.service}', was still looking for it")
    return int(facts.get("config-epoch", "0")), facts["ip"], int(facts["port"])
