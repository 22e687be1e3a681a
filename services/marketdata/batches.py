"""Everything of one timestamp, and the merge of several sources into one sequence of them.

Canonical order inside a timestamp: by symbol (then interval), whatever the order of the sources. Quotes and trades of
one symbol keep the order of their file, and of several files that of the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import attrgetter, itemgetter

from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, QuoteReceived, TradeReceived
from services.marketdata.errors import SourceFormatError
from services.marketdata.stamps import MAX_NS
from services.marketdata.validation import Record

#: Makes the definition of a symbol at a timestamp.
Definition = Callable[[str, int], InstrumentDefined]

_TS = attrgetter("ts_event")
_SYMBOL = attrgetter("symbol")
_SERIES = attrgetter("symbol", "interval")


@dataclass(frozen=True, slots=True)
class TimestampBatch:
    """Everything the sources hold for ``ts_event``; ``instruments`` are those seen here for the first time."""

    ts_event: int
    bars: list[BarClosed] = field(default_factory=list)
    closes: list[CloseReceived] = field(default_factory=list)
    quotes: list[QuoteReceived] = field(default_factory=list)
    trades: list[TradeReceived] = field(default_factory=list)
    instruments: list[InstrumentDefined] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Prices in it, instruments not counted."""
        return len(self.bars) + len(self.closes) + len(self.quotes) + len(self.trades)


@dataclass(frozen=True, slots=True)
class RecordStream:
    """The records of one source in time order, and what its symbols are."""

    name: str
    records: Iterable[Record]
    definition: Definition


def merge_streams(streams: Sequence[RecordStream], end_ns: int = MAX_NS) -> Iterator[TimestampBatch]:
    """All records with ``ts_event < end_ns``, by timestamp.

    Raises:
        SourceFormatError: If two sources price one series at one time, or define one instrument differently.
    """
    sequences = [_stamped(index, stream, end_ns) for index, stream in enumerate(streams)]
    definitions: dict[str, tuple[int, InstrumentDefined]] = {}
    seen: set[tuple[int, str]] = set()
    for ts_event, parts in groupby(merge(*sequences, key=itemgetter(0, 1)), key=itemgetter(0)):
        batch = TimestampBatch(ts_event)
        series: dict[tuple[str, str], int] = {}
        for _, index, records in parts:
            for record in records:
                if (index, record.symbol) not in seen:
                    seen.add((index, record.symbol))
                    _define(batch, streams, index, record, definitions)
                _put(batch, record, series, streams, index)
        sort_batch(batch)
        yield batch


def _stamped(index: int, stream: RecordStream, end_ns: int) -> Iterator[tuple[int, int, list[Record]]]:
    for ts_event, records in groupby(stream.records, key=_TS):
        if ts_event >= end_ns:
            return
        yield ts_event, index, list(records)


def _define(
    batch: TimestampBatch,
    streams: Sequence[RecordStream],
    index: int,
    record: Record,
    definitions: dict[str, tuple[int, InstrumentDefined]],
) -> None:
    mine = streams[index].definition(record.symbol, batch.ts_event)
    if record.symbol not in definitions:
        definitions[record.symbol] = (index, mine)
        batch.instruments.append(mine)
        return
    other_index, other = definitions[record.symbol]
    if terms_of(mine) != terms_of(other):
        raise SourceFormatError(
            f"sources '{streams[other_index].name}' and '{streams[index].name}' must define {record.symbol} alike, was "
            f"{terms_of(other)} and {terms_of(mine)}; make their instrument settings equal"
        )


def terms_of(instrument: InstrumentDefined) -> tuple[str, ...]:
    """What an instrument is, without when it was said and by whom."""
    return (
        instrument.asset_class, instrument.currency, instrument.tick_size, instrument.lot_size, instrument.multiplier,
        "tradable" if instrument.is_tradable else "reference", instrument.sector,
    )  # fmt: skip


def _put(
    batch: TimestampBatch,
    record: Record,
    series: dict[tuple[str, str], int],
    streams: Sequence[RecordStream],
    index: int,
) -> None:
    if isinstance(record, QuoteReceived):
        batch.quotes.append(record)
    elif isinstance(record, TradeReceived):
        batch.trades.append(record)
    else:
        other = series.setdefault((record.symbol, record.interval), index)
        if other != index:
            raise SourceFormatError(
                f"sources must not both price {record.symbol} ({record.interval}) at one time, was "
                f"'{streams[other].name}' and '{streams[index].name}' at {record.ts_event}; remove one of them"
            )
        if isinstance(record, BarClosed):
            batch.bars.append(record)
        else:
            batch.closes.append(record)


def sort_batch(batch: TimestampBatch) -> None:
    """Put a batch into canonical order."""
    batch.instruments.sort(key=_SYMBOL)
    batch.bars.sort(key=_SERIES)
    batch.closes.sort(key=_SERIES)
    batch.quotes.sort(key=_SYMBOL)
    batch.trades.sort(key=_SYMBOL)
