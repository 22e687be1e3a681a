"""What was published last: the newest record of each kind per symbol, and a bounded recent history."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from libs.contracts.market import BarClosed, CloseReceived, QuoteReceived, TradeReceived
from services.marketdata.validation import Record

#: Kind of a record by its type, as ``data_type`` names it.
KINDS: Final[dict[type, str]] = {
    BarClosed: "bar",
    CloseReceived: "close",
    QuoteReceived: "quote",
    TradeReceived: "trade",
}


class Latest(msgspec.Struct):
    """The newest record of each kind of one symbol."""

    bar: BarClosed | None = None
    close: CloseReceived | None = None
    quote: QuoteReceived | None = None
    trade: TradeReceived | None = None

    def all(self) -> Iterator[Record]:
        """Those that exist."""
        for record in (self.bar, self.close, self.quote, self.trade):
            if record is not None:
                yield record


class Book:
    """Newest and recent records.

    Args:
        per_symbol: Recent records kept of a symbol.
        overall: Recent records kept of all symbols together; with many symbols each keeps an equal share of it.
    """

    def __init__(self, per_symbol: int, overall: int) -> None:
        self._per_symbol = per_symbol
        self._overall = overall
        self._share = per_symbol
        self.latest: dict[str, Latest] = {}
        self._recent: dict[str, deque[Record]] = {}

    def add(self, record: Record) -> None:
        """Take a published record."""
        symbol = record.symbol
        latest = self.latest.get(symbol)
        if latest is None:
            latest = self._open(symbol)
        setattr(latest, KINDS[type(record)], record)
        recent = self._recent[symbol]
        recent.append(record)
        if len(recent) > self._share:
            recent.popleft()

    def recent(self, symbol: str, kinds: Iterable[str], limit: int) -> list[Record]:
        """The newest ``limit`` records of these kinds, oldest first."""
        wanted = frozenset(kinds)
        found: list[Record] = []
        for record in reversed(self._recent.get(symbol, ())):
            if KINDS[type(record)] in wanted:
                found.append(record)
                if len(found) == limit:
                    break
        return found[::-1]

    @property
    def held(self) -> int:
        """Recent records held now."""
        return sum(map(len, self._recent.values()))

    def dump(self) -> dict[str, list[Record]]:
        """The recent records, for a snapshot."""
        return {symbol: list(records) for symbol, records in self._recent.items()}

    def load(self, latest: dict[str, Latest], recent: dict[str, list[Record]]) -> None:
        """Replace everything by what a snapshot holds."""
        self.latest = latest
        self._recent = {symbol: deque(records) for symbol, records in recent.items()}
        self._divide()

    def _open(self, symbol: str) -> Latest:
        latest = self.latest[symbol] = Latest()
        self._recent[symbol] = deque()
        self._divide()
        return latest

    def _divide(self) -> None:
        self._share = max(1, min(self._per_symbol, self._overall // max(1, len(self._recent))))
        for records in self._recent.values():
            while len(records) > self._share:
                records.popleft()
