"""What ``POST /data/ingest`` and the feed controls take, and rows to records."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from libs.contracts.market import BarClosed, CloseReceived, QuoteReceived, TradeReceived
from libs.engine.settings import parse_time_ns
from services.marketdata.batches import TimestampBatch, sort_batch
from services.marketdata.sources import Aggressor
from services.marketdata.stamps import interval_ns, iso_of
from services.marketdata.validation import OrderCheck, Record, check_record

#: Rows and timestamps one request holds; more belongs into a file.
MAX_ROWS: Final = 100_000
MAX_TIMESTAMPS: Final = 100
#: Rows of one timestamp: one command, so that a timestamp is ingested whole or not at all.
MAX_ROWS_PER_TIMESTAMP: Final = 1_000

_CONFIG = ConfigDict(extra="forbid", frozen=True)
TimeNs = Annotated[int, BeforeValidator(parse_time_ns)]


def _interval(interval: str) -> str:
    interval_ns(interval)
    return interval


class BarData(BaseModel):
    """A finished bar; its row's timestamp is the close."""

    model_config = _CONFIG

    interval: str = "1d"
    open: float
    high: float
    low: float
    close: float
    volume: float

    _interval_is_one = field_validator("interval")(_interval)


class CloseData(BaseModel):
    """A close without open, high, low and volume."""

    model_config = _CONFIG

    interval: str = "1d"
    close: float

    _interval_is_one = field_validator("interval")(_interval)


class QuoteData(BaseModel):
    """Best bid and ask; a size of 0 says that none is published."""

    model_config = _CONFIG

    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0


class TradeData(BaseModel):
    """One public trade."""

    model_config = _CONFIG

    price: float
    size: float
    aggressor: Aggressor = "unknown"


class _Row(BaseModel):
    model_config = _CONFIG

    symbol: str = Field(min_length=3, max_length=64)
    source: str = Field(min_length=1, max_length=64)
    timestamp: TimeNs = Field(gt=0, lt=2**63)
    latency_ms: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    is_synthetic: bool = False


class BarRow(_Row):
    """A row with a bar."""

    data_type: Literal["bar"]
    data: BarData


class CloseRow(_Row):
    """A row with a close."""

    data_type: Literal["close"]
    data: CloseData


class QuoteRow(_Row):
    """A row with a quote."""

    data_type: Literal["quote"]
    data: QuoteData


class TradeRow(_Row):
    """A row with a trade (``tick`` is the same)."""

    data_type: Literal["trade", "tick"]
    data: TradeData


Row = Annotated[BarRow | CloseRow | QuoteRow | TradeRow, Field(discriminator="data_type")]


class IngestRequest(BaseModel):
    """Rows to publish, in any order; each timestamp is published whole."""

    model_config = _CONFIG

    data: list[Row] = Field(min_length=1, max_length=MAX_ROWS)


class ControlRequest(BaseModel):
    """Why a feed is paused or resumed."""

    model_config = _CONFIG

    actor: str = Field(default="api", min_length=1, max_length=64)
    reason: str = Field(default="", max_length=500)


class SeekRequest(ControlRequest):
    """Where a replay goes on: UNIX nanoseconds or ISO 8601, after what is published."""

    to: TimeNs = Field(gt=0, lt=2**63)


class SpeedRequest(ControlRequest):
    """Steps a second; 0 = as fast as the readers keep up."""

    speed: float = Field(ge=0, le=1_000_000, allow_inf_nan=False)


class RejectedRow(BaseModel):
    """A row that was not published, by its position in the request."""

    index: int
    symbol: str
    reason: str


def record_of(row: BarRow | CloseRow | QuoteRow | TradeRow) -> Record:
    """The record a row describes, not yet checked."""
    data: Any = row.data
    if isinstance(row, BarRow):
        return BarClosed(
            row.timestamp, row.symbol, data.interval, data.open, data.high, data.low, data.close, data.volume,
            row.source, row.is_synthetic,
        )  # fmt: skip
    if isinstance(row, CloseRow):
        return CloseReceived(row.timestamp, row.symbol, data.interval, data.close, row.source, row.is_synthetic)
    if isinstance(row, QuoteRow):
        return QuoteReceived(
            row.timestamp, row.symbol, data.bid, data.ask, data.bid_size, data.ask_size, row.source, row.is_synthetic
        )
    return TradeReceived(row.timestamp, row.symbol, data.price, data.size, data.aggressor, row.source, row.is_synthetic)


def sort_rows(
    request: IngestRequest, symbols: frozenset[str], after_ns: int, now_ns: int
) -> tuple[list[TimestampBatch], list[RejectedRow]]:
    """Rows as batches by timestamp, and the rows that cannot be published, each with the reason.

    Args:
        request: The rows.
        symbols: Symbols whose instrument is defined.
        after_ns: The newest published timestamp.
        now_ns: The wall clock.
    """
    batches: dict[int, TimestampBatch] = {}
    rejected: list[RejectedRow] = []
    order = OrderCheck()
    for index, row in sorted(enumerate(request.data), key=lambda item: (item[1].timestamp, item[1].symbol, item[0])):
        record = record_of(row)
        order.is_unsorted(record.ts_event)  # moves the check to this timestamp
        reason = _reason(record, symbols, after_ns, now_ns)
        is_series = isinstance(record, BarClosed | CloseReceived)
        if not reason and is_series and order.is_duplicate((record.symbol, getattr(record, "interval", ""))):
            reason = "must be the only bar or close of its symbol and interval at its timestamp, was another one"
        if not reason:
            batch = batches.setdefault(record.ts_event, TimestampBatch(record.ts_event))
            if batch.records >= MAX_ROWS_PER_TIMESTAMP:
                reason = f"must be among the {MAX_ROWS_PER_TIMESTAMP} rows of its timestamp, was one more; use a file"
            else:
                _add(batch, record)
        if reason:
            rejected.append(RejectedRow(index=index, symbol=row.symbol, reason=reason))
    rejected.sort(key=lambda one: one.index)
    for batch in batches.values():
        sort_batch(batch)
    return [batches[ts_event] for ts_event in sorted(batches)], rejected


def _reason(record: Record, symbols: frozenset[str], after_ns: int, now_ns: int) -> str:
    if record.symbol not in symbols:
        return f"symbol must be one that GET /symbols lists, was '{record.symbol}'; define it in MARKETDATA_INSTRUMENTS"
    if record.ts_event > now_ns:
        return f"timestamp must not be in the future, was {iso_of(record.ts_event)}"
    if record.ts_event <= after_ns:
        return f"timestamp must be after {iso_of(after_ns)}, which is published, was {iso_of(record.ts_event)}"
    problem = check_record(record)
    return "" if problem is None else str(problem)


def _add(batch: TimestampBatch, record: Record) -> None:
    if isinstance(record, BarClosed):
        batch.bars.append(record)
    elif isinstance(record, CloseReceived):
        batch.closes.append(record)
    elif isinstance(record, QuoteReceived):
        batch.quotes.append(record)
    else:
        batch.trades.append(record)
