"""Rows of a file to records, one file at a time, refusing what cannot be true.

A parser is given cells, already cut to :attr:`RowParser.columns`; where they come from is an adapter's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, QuoteReceived, TradeReceived
from services.marketdata.errors import RowError
from services.marketdata.sources import OPTIONAL, REQUIRED, FileSource
from services.marketdata.stamps import StampReader, interval_ns
from services.marketdata.validation import CORRECT_ROW, OrderCheck, Record, check_record, is_symbol

#: One row: its line number and its cells, in the order of ``RowParser.columns``.
Row = tuple[int, Sequence[Any]]

#: Names of the two columns that are no field of a record.
_STAMP: Final = " timestamp"
_SYMBOL: Final = " symbol"


class RowParser:
    """Turns the rows of one source into records in time order.

    Args:
        source: What the columns mean.
        stamp_unit: Overrides the unit of the timestamp column where the file itself knows it (Parquet).
        start_ns: Of earlier rows only the timestamp is read, so that a late start is quick.

    Attributes:
        columns: Columns whose cells are wanted, in this order; the timestamp is first.
        empty_cells: Cells without a price in a file with a column for each instrument: no price that day.
    """

    def __init__(self, source: FileSource, stamp_unit: str = "", start_ns: int = 0) -> None:
        self.source = source
        self.empty_cells = 0
        spec = source.timestamp
        self._stamps = StampReader(stamp_unit or spec.unit, spec.pattern, spec.zone, spec.close_time)
        self._shift = interval_ns(source.interval) if spec.marks == "open" else 0
        self._start_ns = start_ns
        self._order = OrderCheck()
        self._symbols: dict[str, str] = {}
        self._fields = fields_of(source)
        self._columns = {_STAMP: spec.column}
        if source.symbol_column:
            self._columns[_SYMBOL] = source.symbol_column
        self._columns.update(self._fields)
        self.columns = list(self._columns.values())
        self._make: Callable[[int, str, dict[str, Any]], Record] = getattr(self, f"_{source.records}")

    def parse(self, rows: Iterable[Row]) -> Iterator[Record]:
        """Records of ``rows``, which are read one at a time.

        Raises:
            RowError: At the first row that is unsorted, doubled, or holds what no market publishes.
        """
        return self._parse_wide(rows) if self.source.symbols else self._parse_long(rows)

    def definition(self, symbol: str, ts_event: int) -> InstrumentDefined:
        """The instrument behind ``symbol``, as the settings define it."""
        spec = self.source.instruments.get(symbol, self.source.instrument)
        return spec.define(symbol, ts_event, self.source.name, self.source.is_synthetic)

    # -- the two shapes of a file -----------------------------------------------------------------

    def _parse_long(self, rows: Iterable[Row]) -> Iterator[Record]:
        source = self.source
        one_a_time = source.records in ("bar", "close")
        symbol = source.symbol
        first = 2 if source.symbol_column else 1
        for line, cells in rows:
            ts_event = self._stamp(line, cells[0])
            if ts_event < self._start_ns:
                continue
            if source.symbol_column:
                symbol = self._symbol(line, cells[1])
            row = dict(zip(self._fields, cells[first:], strict=True))
            values = {name: self._value(line, name, cell) for name, cell in row.items() if name != "id"}
            record = self._make(ts_event, symbol, values)
            problem = check_record(record)
            if problem is not None:
                raise self._refusal(line, problem.field, problem.must, row[problem.field], problem.remedy)
            if one_a_time:
                if self._order.is_duplicate(symbol):
                    raise self._duplicate(line, f"row of {symbol}", cells[0])
            elif source.duplicates == "refuse" and self._order.is_duplicate(
                (symbol, row["id"]) if "id" in row else (symbol, *cells[first:])
            ):
                raise self._duplicate(
                    line, f"row of {symbol} with the same {'id' if 'id' in row else 'content'}", cells[0]
                )
            yield record

    def _parse_wide(self, rows: Iterable[Row]) -> Iterator[Record]:
        source, interval, name = self.source, self.source.interval, self.source.name
        symbols = list(source.symbols.items())
        for line, cells in rows:
            ts_event = self._stamp(line, cells[0])
            if ts_event < self._start_ns:
                continue
            if self._order.is_duplicate(""):
                raise self._duplicate(line, "row", cells[0])
            for (column, symbol), cell in zip(symbols, cells[1:], strict=True):
                if cell is None or cell == "":
                    self.empty_cells += 1
                    continue
                close = self._number(line, column, cell)
                record = CloseReceived(ts_event, symbol, interval, close, name, source.is_synthetic)
                problem = check_record(record)
                if problem is not None:
                    raise self._refusal(line, column, problem.must, cell, problem.remedy)
                yield record

    # -- kinds of record --------------------------------------------------------------------------

    def _bar(self, ts: int, symbol: str, row: dict[str, Any]) -> Record:
        source = self.source
        return BarClosed(
            ts, symbol, source.interval, row["open"], row["high"], row["low"], row["close"], row["volume"],
            source.name, source.is_synthetic,
        )  # fmt: skip

    def _close(self, ts: int, symbol: str, row: dict[str, Any]) -> Record:
        source = self.source
        return CloseReceived(ts, symbol, source.interval, row["close"], source.name, source.is_synthetic)

    def _quote(self, ts: int, symbol: str, row: dict[str, Any]) -> Record:
        return QuoteReceived(
            ts, symbol, row["bid"], row["ask"], row.get("bid_size", 0.0), row.get("ask_size", 0.0),
            self.source.name, self.source.is_synthetic,
        )  # fmt: skip

    def _trade(self, ts: int, symbol: str, row: dict[str, Any]) -> Record:
        side = row.get("aggressor", "unknown")
        return TradeReceived(ts, symbol, row["price"], row["size"], side, self.source.name, self.source.is_synthetic)

    # -- cells ------------------------------------------------------------------------------------

    def _stamp(self, line: int, cell: Any) -> int:
        try:
            ts_event = self._stamps.read(cell) + self._shift
        except ValueError as error:
            raise self._refusal(line, _STAMP, str(error), cell) from None
        if self._order.is_unsorted(ts_event):
            must = "must not be before the row above it"
            raise self._refusal(line, _STAMP, must, cell, "sort the file by this column")
        return ts_event

    def _symbol(self, line: int, cell: Any) -> str:
        text = "" if cell is None else str(cell).strip()
        symbol = self._symbols.get(text)
        if symbol is None:
            symbol = f"{text}.{self.source.venue}" if self.source.venue else text
            if not text or not is_symbol(symbol):
                must = "must be a symbol" if self.source.venue else "must be SYMBOL.VENUE (or set the source's venue)"
                raise self._refusal(line, _SYMBOL, must, cell)
            self._symbols[text] = symbol
        return symbol

    def _value(self, line: int, name: str, cell: Any) -> Any:
        if name != "aggressor":
            return self._number(line, name, cell)
        side = self.source.aggressors.get(str(cell).strip())
        if side is None:
            must = f"must be one of {', '.join(sorted(self.source.aggressors))}"
            raise self._refusal(line, name, must, cell, "correct the row or add the word to the source's aggressors")
        return side

    def _number(self, line: int, name: str, cell: Any) -> float:
        try:
            if isinstance(cell, str) and "_" in cell:
                raise ValueError  # float() takes 1_000, which no price list means
            return float(cell)
        except (ValueError, TypeError):
            raise self._refusal(line, name, "must be a number", cell) from None

    # -- refusals ---------------------------------------------------------------------------------

    def _duplicate(self, line: int, who: str, cell: Any) -> RowError:
        by_content = who.endswith("content")
        remedy = "remove one, map a column of ids, or set duplicates to 'keep'" if by_content else "remove one of them"
        return self._refusal(line, _STAMP, f"must not be the time of an earlier {who}", cell, remedy)

    def _refusal(self, line: int, name: str, must: str, cell: Any, remedy: str = CORRECT_ROW) -> RowError:
        source = self.source
        file = source.ask_path if source.ask_path and name == "ask" else source.path
        unit = "row" if source.is_parquet else "line"
        return RowError(str(file), line, self._columns[name], must, shown(cell), remedy, unit)


def fields_of(source: FileSource) -> dict[str, str]:
    """Fields of a record that are read, and the column each one is read from."""
    if source.symbols:
        return {column: column for column in source.symbols}
    if source.ask_path:
        return {"bid": source.columns.get("bid", "close"), "ask": source.columns.get("ask", "close")}
    fields = [*REQUIRED[source.records], *(name for name in OPTIONAL[source.records] if name in source.columns)]
    return {name: source.columns.get(name, name) for name in fields}


def shown(cell: Any) -> str:
    """A cell in an error text: numbers as they stand, everything else quoted and cut."""
    if cell is None or cell == "":
        return "empty"
    if not isinstance(cell, str):
        return repr(cell)[:60]
    try:
        float(cell)
    except ValueError:
        return f"'{cell[:60]}'"
    return cell[:60]
