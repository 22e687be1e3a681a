"""NautilusTrader's order events as ours.

=======================  =====================================================================================
theirs                   ours
=======================  =====================================================================================
``OrderInitialized``     remembered: the events below name only its id
``OrderSubmitted``       ``OrderSubmitted``; ``reference_price`` = newest price seen on the stream
``OrderDenied``          ``OrderDenied``; ``check`` = ``nautilus_trader``, ``value`` = its reason
``OrderAccepted``        ``OrderAccepted``
``OrderRejected``        ``OrderRejected``
``OrderPendingCancel``   ``OrderCancelRequested``
``OrderCanceled``        ``OrderCancelled``
``OrderExpired``         ``OrderExpired``
``OrderFilled``          ``OrderFilled``; ``slippage`` against the newest price of the other side seen on the stream
``OrderUpdated``         remembered: quantity and prices
=======================  =====================================================================================

Our portfolio is their account; a denied order never had one. Numbers that the stream does not give are an error, never
a guess: who filters market data out of the stream (``types_filter``) gets no submissions and no fills.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from libs.bridges.nautilus_trader.errors import UnmappedError
from libs.bridges.nautilus_trader.memory import Memory
from libs.bridges.nautilus_trader.order_book import OrderBook, counterpart, in_units, strategy_and_symbol, venue_of
from libs.bridges.nautilus_trader.wire import decimal, money, text, timestamp
from libs.contracts import orders
from libs.messagebus.topic import Event

SIDES: dict[str, orders.Side] = {"BUY": "buy", "SELL": "sell"}
ORDER_TYPES: dict[str, orders.OrderType] = {
    "MARKET": "market",
    "LIMIT": "limit",
    "STOP_MARKET": "stop",
    "STOP_LIMIT": "stop_limit",
}
TIMES_IN_FORCE: dict[str, orders.TimeInForce] = {"DAY": "day", "GTC": "gtc", "IOC": "ioc", "FOK": "fok"}


class OrderTranslator:
    """Turns order events into ours, in the order in which they come."""

    def __init__(self, memory: Memory, currency: str = "") -> None:
        """Work on ``memory``; ``currency`` is that of instruments which the stream does not define."""
        book = self._book = OrderBook(memory, currency)
        self._handlers: dict[str, Callable[[Mapping[str, Any]], Event | None]] = {
            "OrderInitialized": book.on_initialized,
            "OrderUpdated": book.on_updated,
            "OrderSubmitted": self.on_submitted,
            "OrderDenied": self.on_denied,
            "OrderAccepted": self.on_accepted,
            "OrderRejected": self.on_rejected,
            "OrderPendingCancel": self.on_pending_cancel,
            "OrderCanceled": self.on_canceled,
            "OrderExpired": self.on_expired,
            "OrderFilled": self.on_filled,
        }

    def handles(self, kind: str) -> bool:
        """Whether events of this type are translated or remembered."""
        return kind in self._handlers

    def translate(self, kind: str, body: Mapping[str, Any]) -> Event | None:
        """Our event; None where it is only remembered.

        Raises:
            PayloadError: If a field is missing or malformed.
            UnmappedError: If a value has no counterpart.
        """
        return self._handlers[kind](body)

    # -- life -------------------------------------------------------------------------------------

    def on_submitted(self, body: Mapping[str, Any]) -> orders.OrderSubmitted:
        """It goes to the venue."""
        _, note = self._book.known(body)
        symbol = text(body, "instrument_id")
        return orders.OrderSubmitted(
            ts_event=timestamp(body),
            client_order_id=text(body, "client_order_id"),
            portfolio_id=text(body, "account_id"),
            strategy_id=text(body, "strategy_id"),
            symbol=symbol,
            side=counterpart(SIDES, note.side, "side"),
            order_type=counterpart(ORDER_TYPES, note.order_type, "type"),
            time_in_force=counterpart(TIMES_IN_FORCE, note.time_in_force, "time in force"),
            quantity=in_units(note),
            limit_price=note.limit_price,
            stop_price=note.stop_price,
            reduce_only=note.reduce_only,
            venue=venue_of(symbol),
            reference_price=self._book.reference(symbol, note.side),
            currency=self._book.currency_of(symbol),
        )

    def on_denied(self, body: Mapping[str, Any]) -> orders.OrderDenied:
        """It was refused before it left; NautilusTrader gives one sentence, which may hold a limit and a value."""
        name, note = self._book.known(body)
        self._book.close(name, note)
        return orders.OrderDenied(
            ts_event=timestamp(body),
            client_order_id=text(body, "client_order_id"),
            portfolio_id="",
            strategy_id=text(body, "strategy_id"),
            symbol=text(body, "instrument_id"),
            side=counterpart(SIDES, note.side, "side"),
            order_type=counterpart(ORDER_TYPES, note.order_type, "type"),
            quantity=in_units(note),
            check="nautilus_trader",
            limit="",
            value=text(body, "reason"),
            remedy="",
        )

    def on_accepted(self, body: Mapping[str, Any]) -> orders.OrderAccepted:
        """The venue works it."""
        return orders.OrderAccepted(
            timestamp(body), text(body, "client_order_id"), text(body, "venue_order_id"), *strategy_and_symbol(body)
        )

    def on_rejected(self, body: Mapping[str, Any]) -> orders.OrderRejected:
        """The venue refused it."""
        name, note = self._book.known(body)
        self._book.close(name, note)
        return orders.OrderRejected(
            timestamp(body), text(body, "client_order_id"), *strategy_and_symbol(body), text(body, "reason")
        )

    def on_pending_cancel(self, body: Mapping[str, Any]) -> orders.OrderCancelRequested:
        """A cancel goes to the venue."""
        strategy_id, symbol = strategy_and_symbol(body)
        return orders.OrderCancelRequested(
            timestamp(body), text(body, "client_order_id"), strategy_id, symbol, venue_of(symbol), ""
        )

    def on_canceled(self, body: Mapping[str, Any]) -> orders.OrderCancelled:
        """It is gone."""
        return orders.OrderCancelled(*self._book.ended(body), "")

    def on_expired(self, body: Mapping[str, Any]) -> orders.OrderExpired:
        """Its time ended."""
        return orders.OrderExpired(*self._book.ended(body), "")

    def on_filled(self, body: Mapping[str, Any]) -> orders.OrderFilled:
        """One execution."""
        name, note = self._book.known(body)
        last_quantity, last_price = decimal(body, "last_qty"), decimal(body, "last_px")
        commission, commission_currency = money(body, "commission")
        currency = text(body, "currency")
        filled = note.filled + last_quantity
        leaves = in_units(note) - filled
        done = leaves <= 0
        note = msgspec.structs.replace(note, filled=filled)
        self._book.change(name, note, done)
        if commission_currency != currency:
            raise UnmappedError(
                f"commission of a fill must be in the currency of its price, {currency}, was {commission_currency}"
            )
        if leaves < 0:
            raise UnmappedError(
                f"fills of {text(body, 'client_order_id')} must not exceed its quantity, {note.quantity}, was {filled}"
            )
        symbol = text(body, "instrument_id")
        side = counterpart(SIDES, text(body, "order_side"), "side")
        worse = last_price - self._book.reference(symbol, text(body, "order_side"))
        return orders.OrderFilled(
            ts_event=timestamp(body),
            client_order_id=text(body, "client_order_id"),
            venue_order_id=text(body, "venue_order_id"),
            fill_id=text(body, "trade_id"),
            portfolio_id=text(body, "account_id"),
            strategy_id=text(body, "strategy_id"),
            symbol=symbol,
            side=side,
            last_quantity=last_quantity,
            last_price=last_price,
            cumulative_quantity=filled,
            leaves_quantity=leaves,
            commission=commission,
            slippage=worse if side == "buy" else -worse,
            currency=currency,
            state="filled" if done else "partially_filled",
        )
