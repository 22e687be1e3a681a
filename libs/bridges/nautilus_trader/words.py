"""Our quotes, trades and bars in NautilusTrader's words, for a node that reads them as an external stream.

Prices and sizes are text there, and those of one message must have equally many decimal places; they get as many as
the float that needs most, or as many as the instrument has where that is told. Nothing is rounded but the noise of
floats: 0.65004000000000006 is 0.65004 for an instrument of five digits, 0.650041 is refused.
"""

from __future__ import annotations

import math
from decimal import Decimal
from hashlib import blake2b
from typing import NamedTuple

from libs.bridges.nautilus_trader.errors import UnmappedError
from libs.bridges.nautilus_trader.market import AGGREGATIONS, AGGRESSORS
from libs.contracts.market import BarClosed, QuoteReceived, TradeReceived

MAX_DIGITS = 16
"""Decimal places a price or a size may have there."""

MAX_NUMBER = 1.7e13
"""Prices end at 17,014,118,346,046 there, sizes at twice that."""

MAX_TRADE_ID = 36

NOISE_ULPS = 4
"""Units in the last place by which a float may miss the number of so many digits that it stands for."""


class Digits(NamedTuple):
    """Decimal places of an instrument in NautilusTrader: all its prices, and all its sizes, are written with them."""

    price: int
    size: int


Words = tuple[str, str, dict[str, str | bool | None]]
"""Topic, type and fields of a message."""


def words_for_quote(event: QuoteReceived, ts_init: int, digits: Digits | None = None) -> Words:
    """A quote in NautilusTrader's words.

    Raises:
        UnmappedError: If a number is not finite, or needs more decimal places than the instrument has.
    """
    bid, ask = _digits([event.bid, event.ask], digits and digits.price, event.symbol)
    bid_size, ask_size = _sizes([event.bid_size, event.ask_size], digits, event.symbol)
    return f"data.quotes.{_reversed(event.symbol)}", "QuoteTick", {
        "instrument_id": event.symbol, "bid_price": bid, "ask_price": ask, "bid_size": bid_size, "ask_size": ask_size,
        "ts_event": str(event.ts_event), "ts_init": str(ts_init),
    }  # fmt: skip


def words_for_trade(event: TradeReceived, event_id: str, ts_init: int, digits: Digits | None = None) -> Words:
    """A trade in NautilusTrader's words; its ``trade_id`` is our event's id, or a hash of it where that is too long.

    Raises:
        UnmappedError: As :func:`words_for_quote`; also for a size of 0, which NautilusTrader refuses.
    """
    (price,) = _digits([event.price], digits and digits.price, event.symbol)
    (size,) = _sizes([event.size], digits, event.symbol)
    if not event.size > 0:
        raise UnmappedError(f"size of a trade of {event.symbol} must be positive there, was {event.size}")
    side = next(theirs for theirs, ours in AGGRESSORS.items() if ours == event.aggressor)
    fits = event_id.isascii() and len(event_id) <= MAX_TRADE_ID
    return f"data.trades.{_reversed(event.symbol)}", "TradeTick", {
        "instrument_id": event.symbol, "price": price, "size": size, "aggressor_side": side,
        "trade_id": event_id if fits else blake2b(event_id.encode(), digest_size=16).hexdigest(),
        "ts_event": str(event.ts_event), "ts_init": str(ts_init),
    }  # fmt: skip


def words_for_bar(event: BarClosed, ts_init: int, price_type: str = "LAST", digits: Digits | None = None) -> Words:
    """A bar in NautilusTrader's words: ``1m`` becomes ``1-MINUTE-<price_type>-EXTERNAL``.

    Raises:
        UnmappedError: As :func:`words_for_quote`; also for an interval that is no whole count of a time unit.
    """
    step = event.interval.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = next((name for name, short in AGGREGATIONS.items() if event.interval == step + short), None)
    if unit is None or not (step.isascii() and step.isdigit() and int(step)):
        raise UnmappedError(f"interval of a bar of {event.symbol} must be like 1m or 1d, was '{event.interval}'")
    prices = _digits([event.open, event.high, event.low, event.close], digits and digits.price, event.symbol)
    if not event.low <= min(event.open, event.close) <= max(event.open, event.close) <= event.high:
        raise UnmappedError(
            f"prices of a bar of {event.symbol} must lie between its low and high there, was open {event.open}, "
            f"high {event.high}, low {event.low}, close {event.close}"
        )
    (volume,) = _sizes([event.volume], digits, event.symbol)
    bar_type = f"{event.symbol}-{int(step)}-{unit}-{price_type}-EXTERNAL"
    return f"data.bars.{bar_type}", "Bar", {
        "bar_type": bar_type, **dict(zip(("open", "high", "low", "close"), prices, strict=True)), "volume": volume,
        "ts_event": str(event.ts_event), "ts_init": str(ts_init),
    }  # fmt: skip


def _reversed(symbol: str) -> str:
    """``SYMBOL.VENUE`` as topics have it: venue first."""
    name, dot, venue = symbol.rpartition(".")
    if not (dot and name and venue):
        raise UnmappedError(f"symbol must be SYMBOL.VENUE there, was '{symbol}'")
    return f"{venue}.{name}"


def _sizes(values: list[float], digits: Digits | None, symbol: str) -> list[str]:
    if min(values) < 0:
        raise UnmappedError(f"sizes of {symbol} must not be negative there, was {values}")
    return _digits(values, digits and digits.size, symbol)


def _digits(values: list[float], places: int | None, symbol: str) -> list[str]:
    """Floats as text with equally many decimal places.

    Without ``places`` as many as the shortest text needs that reads back as the same float. With them a float may be
    off by the noise of a few additions, which is taken away; anything more would be another price.
    """
    for value in values:
        if not math.isfinite(value) or abs(value) > MAX_NUMBER:
            raise UnmappedError(f"numbers of {symbol} must be finite and at most {MAX_NUMBER:g} there, was {value}")
    if places is None:
        exact = [Decimal(repr(float(value))).normalize() for value in values]
        needed = max(max(-_exponent(value), 0) for value in exact)
        if needed > MAX_DIGITS:
            raise UnmappedError(
                f"numbers of {symbol} must have at most {MAX_DIGITS} decimal places there, was {values}; round them "
                "where they are made, or say how many the instrument has"
            )
        return [format(value, f".{needed}f") for value in exact]
    texts = [format(value, f".{places}f") for value in values]
    for value, text in zip(values, texts, strict=True):
        if abs(float(text) - value) > NOISE_ULPS * math.ulp(value):
            raise UnmappedError(
                f"numbers of {symbol} must have at most {places} decimal places, was {value}; round it where it is "
                "made, or give the instrument more digits"
            )
    return texts


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
