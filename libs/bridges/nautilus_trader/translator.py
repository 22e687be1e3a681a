"""Which of NautilusTrader's messages become which of our events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec

from libs.bridges.nautilus_trader import market
from libs.bridges.nautilus_trader.errors import BridgeError
from libs.bridges.nautilus_trader.memory import Memory, PriceNote
from libs.bridges.nautilus_trader.orders import OrderTranslator
from libs.bridges.nautilus_trader.positions import PositionTranslator
from libs.bridges.nautilus_trader.wire import Message, decimal, text
from libs.messagebus.topic import Event

Kind = Literal["market", "orders", "positions", "accounts"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DEFAULT_KINDS: tuple[Kind, ...] = ("market", "orders")
"""Positions and accounts are for readers without our portfolio engine, which makes its own of the fills."""

_POSITIONS = ("PositionOpened", "PositionChanged", "PositionClosed")

Handler = Callable[[Mapping[str, Any]], Event | None]


class Translator:
    """Translates messages in the order of their stream.

    Attributes:
        memory: What it knows from the messages so far.
        left: Messages without a counterpart, by type: system states, commands, order books, user data.
    """

    def __init__(
        self,
        kinds: Iterable[Kind] = DEFAULT_KINDS,
        source: str = "nautilus_trader",
        is_synthetic: bool = False,
        currency: str = "",
    ) -> None:
        """Prepare a translator.

        Args:
            kinds: What to translate; the rest is only remembered where something else needs it.
            source: What market data name as their source.
            is_synthetic: Whether nothing real stands behind the market data; only who runs the node knows.
            currency: That of instruments which the stream does not define.

        Raises:
            ValueError: If a kind is none.
        """
        self.kinds = frozenset(kinds)
        if unknown := sorted(self.kinds - set(KINDS)):
            raise ValueError(f"kinds must be among {', '.join(KINDS)}, was '{unknown[0]}'")
        self.memory = Memory()
        self.left: Counter[str] = Counter()
        self._source, self._is_synthetic = source, is_synthetic
        self._orders = OrderTranslator(self.memory, currency)
        self._positions = PositionTranslator(self.memory)
        self._data: dict[str, Handler] = {"QuoteTick": self._quote, "TradeTick": self._trade, "Bar": self._bar}
        self._data |= dict.fromkeys(sorted(market.INSTRUMENTS), self._instrument)

    def translate(self, message: Message, stream: str = "") -> Event | None:
        """Our event for a message of ``stream``; None where there is none.

        Raises:
            BridgeError: If a message that has a counterpart cannot be expressed, with the value that cannot.
        """
        topic, kind, body = message.topic, message.kind, message.body
        event: Event | None = None
        if topic.startswith("data.") and kind in self._data:
            event = self._data[kind](body)
            wanted = "market" in self.kinds
        elif topic.startswith("events.order.") and self._orders.handles(kind):
            wanted = "orders" in self.kinds
            event = self._order(kind, body, wanted, stream)
        elif topic.startswith("events.position.") and kind in _POSITIONS:
            wanted = "positions" in self.kinds
            event = self._positions.translate(kind, body, stream) if wanted else None
        elif topic.startswith("events.account.") and kind == "AccountState":
            event = self._positions.account(body)
            wanted = "accounts" in self.kinds
        else:
            # The second copy of every fill, on events.fills, is left here too.
            self.left[kind or topic.partition(".")[0] or "nothing"] += 1
            return None
        return event if wanted else None

    # -- kinds ------------------------------------------------------------------------------------

    def _order(self, kind: str, body: Mapping[str, Any], wanted: bool, stream: str) -> Event | None:
        if kind == "OrderFilled" and "positions" in self.kinds:
            self._positions.note_fill(body, stream)
        try:
            return self._orders.translate(kind, body)
        except BridgeError:
            if wanted:
                raise
            return None

    def _quote(self, body: Mapping[str, Any]) -> Event:
        event = market.quote_of(body, self._source, self._is_synthetic)
        self._see(event.symbol, bid=decimal(body, "bid_price"), ask=decimal(body, "ask_price"))
        return event

    def _trade(self, body: Mapping[str, Any]) -> Event:
        event = market.trade_of(body, self._source, self._is_synthetic)
        self._see(event.symbol, trade=decimal(body, "price"))
        return event

    def _bar(self, body: Mapping[str, Any]) -> Event:
        event = market.bar_of(body, self._source, self._is_synthetic)
        self._see(event.symbol, close=decimal(body, "close"))
        return event

    def _instrument(self, body: Mapping[str, Any]) -> Event:
        self.memory.put("currency", text(body, "id"), market.currency_of(body))
        return market.instrument_of(body, self._source, self._is_synthetic)

    def _see(self, symbol: str, **prices: Decimal) -> None:
        seen: PriceNote = self.memory.get("price", symbol) or PriceNote()
        self.memory.put("price", symbol, msgspec.structs.replace(seen, **prices))
