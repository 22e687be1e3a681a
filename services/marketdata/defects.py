"""Known defects of shipped data sets: what is wrong where, why we say so, and what is done about it.

A user's own file with an impossible row is refused. A packaged data set cannot be corrected by whoever replays it, so
its defects are listed here, one by one. Nothing is repaired with a made-up number: a price that was never quoted is
withheld, a bar whose volume is missing keeps its close only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from libs.contracts.market import BarClosed, CloseReceived
from services.marketdata.validation import Record


class Defect(msgspec.Struct, frozen=True):
    """Records of ``symbol`` with ``first_ns <= ts_event < end_ns`` are not what they say.

    Attributes:
        action: ``withhold`` them, or publish their ``close-only``.
        reason: What is wrong and how it shows.
    """

    symbol: str
    first_ns: int
    end_ns: int
    action: Literal["withhold", "close-only"]
    reason: str


class DefectFilter:
    """Applies the defects of one data set to its records.

    Attributes:
        withheld: Records left out.
        reduced: Bars published as closes.
    """

    def __init__(self, defects: Iterable[Defect]) -> None:
        self._by_symbol: dict[str, list[Defect]] = {}
        for defect in defects:
            self._by_symbol.setdefault(defect.symbol, []).append(defect)
        self.withheld = 0
        self.reduced = 0

    def apply(self, records: Iterable[Record]) -> Iterator[Record]:
        """``records`` without what is known to be wrong."""
        for record in records:
            defect = self._defect_of(record)
            if defect is None:
                yield record
            elif defect.action == "close-only" and isinstance(record, BarClosed):
                self.reduced += 1
                yield CloseReceived(
                    record.ts_event, record.symbol, record.interval, record.close, record.source, record.is_synthetic
                )
            else:
                self.withheld += 1

    def _defect_of(self, record: Record) -> Defect | None:
        for defect in self._by_symbol.get(record.symbol, ()):
            if defect.first_ns <= record.ts_event < defect.end_ns:
                return defect
        return None
