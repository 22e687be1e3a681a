"""What a source of replayed data is: specifications, read from ``MARKETDATA_SOURCES``.

A source is either the name of a data set that ships inside an installed package (see
:mod:`services.marketdata.catalogue`) or a file with a mapping of its columns. Both end as a :class:`FileSource`.
"""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from libs.contracts.market import AssetClass, InstrumentDefined
from services.marketdata.stamps import interval_ns
from services.marketdata.validation import is_symbol

M = TypeVar("M", bound=BaseModel)
RecordKind = Literal["bar", "close", "quote", "trade"]
Aggressor = Literal["buy", "sell", "unknown"]

#: Columns a kind of record needs, by field; the column has the field's name unless ``columns`` says otherwise.
REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "bar": ("open", "high", "low", "close", "volume"),
    "close": ("close",),
    "quote": ("bid", "ask"),
    "trade": ("price", "size"),
}
#: Columns it may have, read only when ``columns`` names them.
OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    "bar": (),
    "close": (),
    "quote": ("bid_size", "ask_size"),
    "trade": ("aggressor", "id"),
}

_CONFIG = ConfigDict(frozen=True, extra="forbid")


class TimestampSpec(BaseModel):
    """How the timestamp column is read.

    Attributes:
        unit: ``iso``, ``date`` (a trading day, stamped with its session close), or a count since 1970.
        pattern: ``strptime`` pattern of a ``date`` that is not ISO, for example ``%m/%d/%Y``.
        timezone: Zone of stamps without an offset; for a ``date``, of ``close_time``.
        marks: Whether a bar's stamp is its close or its open; an open is moved on by the interval.
    """

    model_config = _CONFIG

    column: str = "timestamp"
    unit: Literal["iso", "date", "s", "ms", "us", "ns"] = "iso"
    pattern: str = ""
    timezone: str = ""
    close_time: time = time(16, 0)
    marks: Literal["close", "open"] = "close"

    @property
    def zone(self) -> str:
        """The zone in force: New York for dates and UTC for everything else, unless one is named."""
        return self.timezone or ("America/New_York" if self.unit == "date" else "UTC")

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"must be a time zone, was '{zone}'; write e.g. America/New_York") from None
        return zone


class InstrumentSpec(BaseModel):
    """What an instrument is; published before its first price. Decimal strings as in ``InstrumentDefined``."""

    model_config = _CONFIG

    asset_class: AssetClass
    currency: str = Field(pattern="^[A-Z]{3,5}$")
    tick_size: str = Field(default="0", pattern=r"^\d+(\.\d+)?$")
    lot_size: str = Field(default="1", pattern=r"^\d*[1-9]\d*(\.\d+)?$|^\d*\.\d*[1-9]\d*$")
    multiplier: str = Field(default="1", pattern=r"^\d*[1-9]\d*(\.\d+)?$|^\d*\.\d*[1-9]\d*$")
    is_tradable: bool = True
    sector: str = ""

    def define(self, symbol: str, ts_event: int, source: str, is_synthetic: bool = False) -> InstrumentDefined:
        """The event that says so."""
        return InstrumentDefined(ts_event, symbol, source=source, is_synthetic=is_synthetic, **self.model_dump())


class FileSource(BaseModel):
    """One CSV (also gzipped) or Parquet file.

    Attributes:
        name: Published as ``source`` of every record.
        path: The file; a relative path starts at the working directory.
        ask_path: Only for quotes from two files of bars: ``path`` holds the bids and this one the asks, row by row.
        records: What a row is.
        symbol: The symbol of all rows; or
        symbol_column, venue: the column that names it, and the venue appended to what stands there; or
        symbols: column of prices to symbol, for a file with a column of closes for each instrument.
        interval: Of bars and closes.
        columns: Field to column where the names differ.
        aggressors: What the aggressor column says to ``buy``, ``sell`` or ``unknown``.
        instrument: What its instruments are; ``instruments`` names exceptions by symbol.
        duplicates: ``refuse`` a second row of the same time and content, or ``keep`` it (prints without an id).
    """

    model_config = _CONFIG

    name: str = Field(min_length=1, max_length=64)
    path: Path
    ask_path: Path | None = None
    format: Literal["auto", "csv", "parquet"] = "auto"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    records: RecordKind
    symbol: str = ""
    symbol_column: str = ""
    venue: str = ""
    symbols: dict[str, str] = {}
    interval: str = "1d"
    timestamp: TimestampSpec = TimestampSpec()
    columns: dict[str, str] = {}
    aggressors: dict[str, Aggressor] = {name: name for name in get_args(Aggressor)}
    instrument: InstrumentSpec
    instruments: dict[str, InstrumentSpec] = {}
    duplicates: Literal["refuse", "keep"] = "refuse"
    is_synthetic: bool = False

    @property
    def is_parquet(self) -> bool:
        """Whether the file is read as Parquet."""
        return self.format == "parquet" or (self.format == "auto" and self.path.suffix == ".parquet")

    @field_validator("interval")
    @classmethod
    def _interval_is_one(cls, interval: str) -> str:
        interval_ns(interval)
        return interval

    @model_validator(mode="after")
    def _fits_together(self) -> FileSource:
        chosen = [name for name in ("symbol", "symbol_column", "symbols") if getattr(self, name)]
        if len(chosen) != 1:
            raise ValueError(f"must have one of symbol, symbol_column and symbols, had {chosen or 'none'}")
        if self.symbols and self.records != "close":
            raise ValueError(f"symbols is for records 'close', was with '{self.records}'; use symbol_column")
        if self.venue and not self.symbol_column:
            raise ValueError("venue is only for symbol_column; write symbols as SYMBOL.VENUE")
        for symbol in (*filter(None, [self.symbol]), *self.symbols.values(), *self.instruments):
            if not is_symbol(symbol):
                raise ValueError(f"symbols must be SYMBOL.VENUE, was '{symbol}'")
        known = REQUIRED[self.records] + OPTIONAL[self.records]
        for name in self.columns:
            if name not in known:
                raise ValueError(f"columns of '{self.records}' may name {', '.join(known)}, was '{name}'")
        if self.ask_path and (self.records != "quote" or self.symbol_column):
            raise ValueError("ask_path is for records 'quote' of one symbol")
        if self.timestamp.marks == "open" and self.records in ("quote", "trade") and not self.ask_path:
            raise ValueError("timestamp.marks 'open' is for bars and closes")
        return self


#: A file, or the name of a packaged data set.
Source = FileSource | str


def parse_sources(value: Any) -> Any:
    """Sources as the environment gives them, JSON decoded: ``none``, names with commas between them, or a list.

    Raises:
        ValueError: One sentence that names the source and the field.
    """
    if isinstance(value, str):
        value = [] if value.strip() == "none" else [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of sources, was {type(value).__name__}; write e.g. skfolio.sp500,arch.nasdaq")
    parsed = tuple(_parse_source(position, item) for position, item in enumerate(value, 1))
    names = [item if isinstance(item, str) else item.name for item in parsed]
    for name in sorted(names):
        if names.count(name) > 1:
            raise ValueError(f"sources must have different names, was '{name}' twice; rename or remove one")
    return parsed


def _parse_source(position: int, item: Any) -> Source:
    if isinstance(item, str | FileSource):
        return item
    name = item.get("name", position) if isinstance(item, dict) else position
    return _parse(FileSource, item, f"source '{name}'")


def parse_instruments(value: Any) -> Any:
    """Instruments as the environment gives them, JSON decoded: symbol to instrument.

    Raises:
        ValueError: One sentence that names the symbol and the field.
    """
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object of symbol to instrument, was {type(value).__name__}; correct it")
    for symbol in value:
        if not is_symbol(symbol):
            raise ValueError(f"must name symbols as SYMBOL.VENUE, was '{symbol}'")
    return {symbol: _parse(InstrumentSpec, item, f"instrument '{symbol}'") for symbol, item in value.items()}


def _parse(kind: type[M], item: Any, who: str) -> M:
    """``item`` as ``kind``, or one sentence about the first thing wrong with it."""
    try:
        return kind.model_validate(item)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in detail["loc"])
        text = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
        raise ValueError(f"{who}: {where + ': ' if where else ''}{text}; correct it") from None
