"""What the bridge must remember between two messages: orders by id, prices seen, accounts, positions.

NautilusTrader describes an order once (``OrderInitialized``) and later speaks of its id only. Every change goes into
the note of the commit that carries the events made of it, so that a restarted bridge knows what the killed one knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

CLOSED_ORDERS = 10_000
"""Orders remembered after their end: a fill may come after a cancel."""


class OrderNote(msgspec.Struct, frozen=True, array_like=True):
    """An order as it was described, and what of it was filled."""

    side: str
    order_type: str
    time_in_force: str
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    reduce_only: bool
    quote_quantity: bool
    filled: Decimal = Decimal(0)


class PriceNote(msgspec.Struct, frozen=True, array_like=True):
    """The newest prices of an instrument, as text came in; None where none did."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    trade: Decimal | None = None
    close: Decimal | None = None


class LedgerNote(msgspec.Struct, frozen=True, array_like=True):
    """What one account did in one instrument since the first fill on the stream.

    Attributes:
        position_id: The open NautilusTrader position, ``""`` when flat.
        quantity: Signed.
        closed_pnl: Profit of closed positions, after commissions.
        open_pnl: Realized profit of the open one, after commissions.
        fees: Commissions of all fills.
        pending: Quantity of the newest fill that no position event has told of yet.
        fill_id: The newest fill.
        stream: Where it came from.
    """

    position_id: str = ""
    quantity: Decimal = Decimal(0)
    closed_pnl: Decimal = Decimal(0)
    open_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    pending: Decimal = Decimal(0)
    fill_id: str = ""
    stream: str = ""


_KINDS: dict[str, Any] = {
    "order": OrderNote,
    "closed": OrderNote,
    "price": PriceNote,
    "currency": str,
    "account": str,
    "ledger": LedgerNote,
    "count": int,
}
_Change = tuple[str, str, Any]


class Memory:
    """Values by kind and name, with a record of what changed."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
        self._changed: dict[tuple[str, str], None] = {}

    def get(self, kind: str, name: str) -> Any:
        """The value, None if there is none."""
        return self._values[kind].get(name)

    def put(self, kind: str, name: str, value: Any) -> None:
        """Set a value; None removes it."""
        if value is None:
            self._values[kind].pop(name, None)
        else:
            self._values[kind][name] = value
        self._changed[kind, name] = None

    def close_order(self, name: str, order: OrderNote) -> None:
        """Move an order that has ended to the closed ones, of which the oldest are forgotten."""
        self.put("order", name, None)
        self.put("closed", name, order)
        closed = self._values["closed"]
        while len(closed) > CLOSED_ORDERS:
            self.put("closed", next(iter(closed)), None)

    def order(self, name: str) -> OrderNote | None:
        """An order, open or closed."""
        found: OrderNote | None = self.get("order", name) or self.get("closed", name)
        return found

    def take_changes(self) -> bytes:
        """What changed since the last call."""
        changes = [(kind, name, self.get(kind, name)) for kind, name in self._changed]
        self._changed.clear()
        return msgspec.msgpack.encode(changes) if changes else b""

    def snapshot(self) -> bytes:
        """Everything."""
        return msgspec.msgpack.encode(
            [(kind, name, value) for kind, held in self._values.items() for name, value in held.items()]
        )

    def restore(self, snapshot: bytes, changes: Sequence[bytes]) -> None:
        """Begin anew with a snapshot (``b""``: empty) and the changes after it."""
        for held in self._values.values():
            held.clear()
        for part in filter(None, (snapshot, *changes)):
            for kind, name, value in msgspec.msgpack.decode(part, type=list[_Change]):
                self.put(kind, name, None if value is None else msgspec.convert(value, _KINDS[kind]))
        self._changed.clear()
