"""Orders as the stream has described them so far."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from libs.bridges.nautilus_trader.errors import PayloadError, UnmappedError
from libs.bridges.nautilus_trader.memory import Memory, OrderNote, PriceNote
from libs.bridges.nautilus_trader.wire import decimal, text, timestamp


class OrderBook:
    """Looks after the orders, prices and currencies in a :class:`Memory`."""

    def __init__(self, memory: Memory, currency: str = "") -> None:
        """Work on ``memory``; ``currency`` is that of instruments which the stream does not define."""
        self._memory = memory
        self._currency = currency

    def on_initialized(self, body: Mapping[str, Any]) -> None:
        """Remember what the order is."""
        options = body.get("options") or {}
        if not isinstance(options, dict):
            raise PayloadError(f"options of OrderInitialized must be a map, was {type(options).__name__}")
        note = OrderNote(
            text(body, "order_side"),
            text(body, "order_type"),
            text(body, "time_in_force"),
            decimal(body, "quantity"),
            _price(options, "price"),
            _price(options, "trigger_price"),
            bool(body.get("reduce_only")),
            bool(body.get("quote_quantity")),
        )
        name = _name(body)
        self._memory.put("closed", name, None)  # ids return in a second run of one backtest
        self._memory.put("order", name, note)

    def on_updated(self, body: Mapping[str, Any]) -> None:
        """Remember the new quantity and prices."""
        name, note = self.known(body)
        changed = msgspec.structs.replace(
            note,
            quantity=decimal(body, "quantity"),
            limit_price=note.limit_price if body.get("price") is None else decimal(body, "price"),
            stop_price=note.stop_price if body.get("trigger_price") is None else decimal(body, "trigger_price"),
        )
        self.change(name, changed, has_ended=False)

    def close(self, name: str, note: OrderNote) -> None:
        """Remember that an order has ended."""
        self._memory.close_order(name, note)

    def change(self, name: str, note: OrderNote, has_ended: bool) -> None:
        """Remember an order after a fill, which may come after its end too."""
        if has_ended:
            self._memory.close_order(name, note)
        else:
            self._memory.put("closed" if self._memory.get("closed", name) else "order", name, note)

    def known(self, body: Mapping[str, Any]) -> tuple[str, OrderNote]:
        """The order an event is about, and the name it is remembered under.

        Raises:
            UnmappedError: If it was never described.
        """
        name = _name(body)
        note = self._memory.order(name)
        if note is None:
            raise UnmappedError(
                f"order {name} must have been described by OrderInitialized, was not: the bridge began after it, or "
                "the stream was trimmed; begin at the start of the stream"
            )
        return name, note

    def ended(self, body: Mapping[str, Any]) -> tuple[int, str, str, str, Decimal]:
        """Time, id, strategy, symbol and filled quantity of an order that ended."""
        name, note = self.known(body)
        self.close(name, note)
        return timestamp(body), text(body, "client_order_id"), *strategy_and_symbol(body), note.filled

    def reference(self, symbol: str, side: str) -> Decimal:
        """What the order could hope for: the newest quote of the other side, else the newest trade, else bar close.

        Raises:
            UnmappedError: If the stream has told of no price.
        """
        seen: PriceNote = self._memory.get("price", symbol) or PriceNote()
        quoted = seen.ask if side == "BUY" else seen.bid
        for price in (quoted, seen.trade, seen.close):
            if price is not None:
                return price
        raise UnmappedError(
            f"a price of {symbol} must have been seen before its orders, was none: reference price and slippage are "
            "computed from it; publish market data too (types_filter of MessageBusConfig)"
        )

    def currency_of(self, symbol: str) -> str:
        """Currency of an instrument's prices.

        Raises:
            UnmappedError: If the stream has not defined it, and no currency was given.
        """
        currency: str | None = self._memory.get("currency", symbol) or self._currency
        if not currency:
            raise UnmappedError(
                f"instrument {symbol} must have been defined on the stream before its orders, was not: its currency is "
                "unknown; begin at the start of the stream, or give the currency"
            )
        return currency


def _name(body: Mapping[str, Any]) -> str:
    return f"{text(body, 'trader_id')}|{text(body, 'client_order_id')}"


def strategy_and_symbol(body: Mapping[str, Any]) -> tuple[str, str]:
    """Whose order it is, and of which instrument."""
    return text(body, "strategy_id"), text(body, "instrument_id")


def venue_of(symbol: str) -> str:
    """The venue of an instrument.

    Raises:
        PayloadError: If the id names none.
    """
    _, dot, venue = symbol.rpartition(".")
    if not (dot and venue):
        raise PayloadError(f"instrument_id must be SYMBOL.VENUE, was '{symbol[:64]}'")
    return venue


def counterpart(table: Mapping[str, Any], theirs: str, what: str) -> Any:
    """Our word for theirs.

    Raises:
        UnmappedError: If there is none.
    """
    if theirs not in table:
        raise UnmappedError(f"{what} of an order must be among {', '.join(table)}, was {theirs}: ours has no such")
    return table[theirs]


def in_units(note: OrderNote) -> Decimal:
    """Quantity of an order in units of its instrument.

    Raises:
        UnmappedError: If it is in money.
    """
    if note.quote_quantity:
        raise UnmappedError("quantity of an order must be in units of the instrument, was in its quote currency")
    return note.quantity


def _price(options: Mapping[str, Any], name: str) -> Decimal | None:
    return None if options.get(name) is None else decimal({"type": "OrderInitialized", **options}, name)
