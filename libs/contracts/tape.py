"""The order tape: one hash over every order event and fill, in publication order.

Two runs that did the same have the same tape; a live replay and a simulation are compared by it. It is a chain, so
it lives in an engine's state as a few bytes and survives restarts: ``hash(n) = BLAKE2b(hash(n - 1) + event n)``.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from libs.messagebus.topic import Event

DIGEST_BYTES: Final = 16
EMPTY: Final = "0" * (2 * DIGEST_BYTES)
#: Topics on the tape: what the order book of record says, nothing else.
PREFIX: Final = "orders."

_ENCODER = msgspec.msgpack.Encoder()


def extend_tape(tape: str, event: Event) -> str:
    """The tape after one more event.

    Args:
        tape: Hexadecimal hash so far, :data:`EMPTY` at the beginning.
        event: An event of a topic named ``orders.*``.
    """
    return hashlib.blake2b(bytes.fromhex(tape) + _ENCODER.encode(event), digest_size=DIGEST_BYTES).hexdigest()
