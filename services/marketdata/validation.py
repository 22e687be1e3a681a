"""What a record must be, whatever brings it: a file, a package or ``POST /data/ingest``.

The checks are written so that NaN fails every comparison: ``0.0 < price < INFINITY`` is false for NaN, for both
infinities, for zero and for negative prices.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import msgspec

from libs.contracts.market import BarClosed, CloseReceived, QuoteReceived, TradeReceived

Record = BarClosed | CloseReceived | QuoteReceived | TradeReceived

INFINITY: Final = float("inf")
CORRECT_ROW: Final = "correct or remove the row"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one value.

    Attributes:
        field: Field of the record, for example ``close``.
        must: What it must be, beginning with ``must``.
        value: What it was.
        remedy: What to do.
    """

    field: str
    must: str
    value: str
    remedy: str = CORRECT_ROW

    def __str__(self) -> str:
        """One sentence."""
        return f"{self.field} {self.must}, was {self.value}; {self.remedy}"


def check_record(record: Record) -> Problem | None:
    """The first thing wrong with the numbers of ``record``, or None."""
    if isinstance(record, CloseReceived):
        return None if 0.0 < record.close < INFINITY else _price("close", record.close)
    if isinstance(record, BarClosed):
        return check_bar(record.open, record.high, record.low, record.close, record.volume)
    if isinstance(record, QuoteReceived):
        return check_quote(record.bid, record.ask, record.bid_size, record.ask_size)
    return check_trade(record.price, record.size)


def check_bar(opening: float, high: float, low: float, close: float, volume: float) -> Problem | None:
    """A bar's prices are finite and positive, ``low <= open, close <= high``, volume finite and not negative."""
    if 0.0 < low <= opening <= high < INFINITY and low <= close <= high and 0.0 <= volume < INFINITY:
        return None
    for name, price in (("open", opening), ("high", high), ("low", low), ("close", close)):
        if not 0.0 < price < INFINITY:
            return _price(name, price)
    if high < low:
        return Problem("high", f"must not be below the low {low!r}", repr(high))
    for name, price in (("open", opening), ("close", close)):
        if not low <= price <= high:
            return Problem(name, f"must lie between the low {low!r} and the high {high!r}", repr(price))
    return _size("volume", volume)


def check_quote(bid: float, ask: float, bid_size: float, ask_size: float) -> Problem | None:
    """A quote's prices are finite and positive, ``bid <= ask``, sizes finite and not negative."""
    if 0.0 < bid <= ask < INFINITY and 0.0 <= bid_size < INFINITY and 0.0 <= ask_size < INFINITY:
        return None
    for name, price in (("bid", bid), ("ask", ask)):
        if not 0.0 < price < INFINITY:
            return _price(name, price)
    if bid > ask:
        return Problem("bid", f"must not be above the ask {ask!r}", repr(bid))
    return _size("bid_size", bid_size) or _size("ask_size", ask_size)


def check_trade(price: float, size: float) -> Problem | None:
    """A trade has a finite, positive price and size."""
    if not 0.0 < price < INFINITY:
        return _price("price", price)
    if not 0.0 < size < INFINITY:
        return Problem("size", "must be finite and above 0", repr(size))
    return None


def _price(name: str, price: float) -> Problem:
    return Problem(name, "must be a finite price above 0", repr(price))


def _size(name: str, size: float) -> Problem | None:
    return None if 0.0 <= size < INFINITY else Problem(name, "must be finite and not negative", repr(size))


class OrderCheck:
    """Refuses rows that go back in time, and a second row of one key at one time.

    Only the keys of the current timestamp are held, so memory does not grow with the file.
    """

    def __init__(self) -> None:
        self._ts = -1
        self._keys: set[Hashable] = set()

    def is_unsorted(self, ts_event: int) -> bool:
        """Whether ``ts_event`` lies before the row before it."""
        if ts_event > self._ts:
            self._ts = ts_event
            self._keys.clear()
            return False
        return ts_event < self._ts

    def is_duplicate(self, key: Hashable) -> bool:
        """Whether ``key`` was seen at the present timestamp."""
        if key in self._keys:
            return True
        self._keys.add(key)
        return False


def is_symbol(symbol: str) -> bool:
    """Whether ``symbol`` has the form ``SYMBOL.VENUE``: two non-empty parts without blanks, the venue upper case."""
    name, dot, venue = symbol.rpartition(".")
    if not (name and dot and venue) or len(symbol) > 64:
        return False
    return symbol.isprintable() and " " not in symbol and venue.isascii() and venue.isalnum() and venue == venue.upper()
