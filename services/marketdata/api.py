"""HTTP surface of marketdata: feeds and their steering, symbols, recent data, and ingestion by hand."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query

from libs.clock import Clock
from libs.contracts.market import ControlFeed
from libs.engine.commands import Commands, Reply
from libs.engine.plain import iso, plain
from libs.engine.problems import Problem
from services.marketdata.batches import TimestampBatch
from services.marketdata.book import KINDS, Latest
from services.marketdata.engine import MarketDataEngine
from services.marketdata.progress import ReplayProgress
from services.marketdata.requests import (
    MAX_TIMESTAMPS,
    ControlRequest,
    IngestRequest,
    RejectedRow,
    SeekRequest,
    SpeedRequest,
    sort_rows,
)
from services.marketdata.settings import MarketDataSettings
from services.marketdata.stepping import REPLAY_FEED, ingest_commands
from services.marketdata.validation import Record
from services.marketdata.views import feed_view, record_view, symbol_view

#: Name of the feed that ``POST /data/ingest`` publishes through.
INGEST_FEED: Final = "ingest"
#: Bytes a body may have, by path: what MAX_ROWS rows take.
BODY_LIMITS: Final = {"/data/ingest": 16 * 1024 * 1024}
_CLOSE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.005

Written = dict[str, Any]
DataType = Literal["all", "quote", "trade", "tick", "bar", "close"]
Limit = Annotated[int, Query(ge=1, le=1_000)]


def router(
    engine: MarketDataEngine,
    commands: Commands,
    settings: MarketDataSettings,
    progress: ReplayProgress,
    clock: Clock,
) -> APIRouter:
    """The routes.

    Args:
        engine: Read between batches.
        commands: Writes.
        settings: What is configured.
        progress: What the replay observes.
        clock: The wall clock, against which "not in the future" is checked.
    """
    routes = APIRouter(tags=["marketdata"])
    _add_reads(routes, engine, settings, progress)
    _add_controls(routes, engine, commands)
    ingesting = asyncio.Lock()

    @routes.post("/data/ingest")
    async def ingest(request: IngestRequest) -> dict[str, Any]:
        """Publish rows, timestamp by timestamp; each timestamp has closed its stages before the next begins."""
        async with ingesting:
            return await _ingest(engine, commands, settings, request, clock.timestamp_ns())

    return routes


def _add_reads(
    routes: APIRouter, engine: MarketDataEngine, settings: MarketDataSettings, progress: ReplayProgress
) -> None:
    @routes.get("/feeds")
    async def feeds() -> dict[str, Any]:
        """Every feed: state, pace, cursor, and whom the replay waits for."""
        known = sorted(engine.state.feeds.items())
        return _page([feed_view(feed, progress if name == REPLAY_FEED else None) for name, feed in known])

    @routes.get("/sources")
    async def sources() -> dict[str, Any]:
        """What is configured, and what a full reading of it has found; null until it has been read."""
        names = [source if isinstance(source, str) else source.name for source in settings.sources]
        found = {one.name: one for one in progress.summary.sources} if progress.summary else {}
        return _page([{"name": name, "summary": plain(found.get(name))} for name in names])

    @routes.get("/symbols")
    async def symbols() -> dict[str, Any]:
        """Every instrument that was defined, with its newest prices' time."""
        state = engine.state
        return _page([
            symbol_view(instrument, engine.book.latest.get(symbol), state.timeline_ns)
            for symbol, instrument in sorted(state.instruments.items())
        ])  # fmt: skip

    @routes.get("/data/{symbol:path}")
    async def data(symbol: str, data_type: DataType = "all", limit: Limit = 100) -> dict[str, Any]:
        """The newest records of a symbol, oldest first."""
        _known(engine, symbol)
        kind = "trade" if data_type == "tick" else data_type
        records = engine.book.recent(symbol, KINDS.values() if kind == "all" else (kind,), limit)
        return _page([record_view(record, engine.state.timeline_ns) for record in records])

    @routes.post("/symbols/{symbol:path}/snapshot")
    async def snapshot(symbol: str) -> dict[str, Any]:
        """The newest quote, trade, bar and close of a symbol; a kind that never came is null, with a reason."""
        latest = _known(engine, symbol)
        now = engine.state.timeline_ns
        found = {kind: getattr(latest, kind) for kind in sorted(KINDS.values())}
        return {
            "symbol": symbol,
            "as_of": iso(now),
            **{kind: None if record is None else record_view(record, now) for kind, record in found.items()},
            "reasons": {kind: "no source publishes it for this symbol" for kind in found if found[kind] is None},
        }


def _add_controls(routes: APIRouter, engine: MarketDataEngine, commands: Commands) -> None:
    async def control(feed: str, action: Any, request: ControlRequest, to_ns: int = 0, speed: float = 0.0) -> Written:
        ts = engine.state.timeline_ns
        command = ControlFeed(ts, feed, action, request.actor, request.reason, to_ns, speed)
        return _written(await commands.send(command))

    @routes.post("/feeds/{feed}/pause")
    async def pause(feed: str, request: ControlRequest | None = None) -> dict[str, Any]:
        """Stop before the next timestamp; the one in progress closes."""
        return await control(feed, "pause", request or ControlRequest())

    @routes.post("/feeds/{feed}/resume")
    async def resume(feed: str, request: ControlRequest | None = None) -> dict[str, Any]:
        """Go on."""
        return await control(feed, "resume", request or ControlRequest())

    @routes.post("/feeds/{feed}/seek")
    async def seek(feed: str, request: SeekRequest) -> dict[str, Any]:
        """Leave out everything before a later time; backward is refused, because time never goes backward."""
        return await control(feed, "seek", request, to_ns=request.to)

    @routes.post("/feeds/{feed}/speed")
    async def speed(feed: str, request: SpeedRequest) -> dict[str, Any]:
        """Set the pace."""
        return await control(feed, "speed", request, speed=request.speed)


async def _ingest(
    engine: MarketDataEngine, commands: Commands, settings: MarketDataSettings, request: IngestRequest, now_ns: int
) -> dict[str, Any]:
    known = frozenset(engine.state.instruments) | frozenset(settings.instruments)
    batches, rejected = sort_rows(request, known, engine.state.timeline_ns, now_ns)
    if len(batches) > MAX_TIMESTAMPS:
        raise Problem(
            422, "too-many-timestamps", f"a request may hold {MAX_TIMESTAMPS} timestamps, was {len(batches)}",
            "send several requests, or replay a file (MARKETDATA_SOURCES)",
        )  # fmt: skip
    accepted, reply = 0, None
    for batch in batches:
        _define_missing(engine, settings, batch)
        for command in ingest_commands(INGEST_FEED, batch):
            reply = await commands.send(command)
        accepted += batch.records
        await _wait_for_close(engine, batch.ts_event, accepted)
    return _ingested(accepted, rejected, reply)


def _define_missing(engine: MarketDataEngine, settings: MarketDataSettings, batch: TimestampBatch) -> None:
    records: list[Record] = [*batch.bars, *batch.closes, *batch.quotes, *batch.trades]
    for symbol in sorted({record.symbol for record in records}):
        if symbol not in engine.state.instruments:
            batch.instruments.append(settings.instruments[symbol].define(symbol, batch.ts_event, INGEST_FEED))


async def _wait_for_close(engine: MarketDataEngine, ts_event: int, accepted: int) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            # The engine is a plain state machine without anything to await, so it is looked at.
            while (feed := engine.open_feed()) is not None and feed.cursor_ns == ts_event:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise Problem(
            503, "step-open", f"{accepted} rows are published, but {ts_event} did not close in {_CLOSE_SECONDS:g} s",
            "see GET /feeds for whom it waits for; send the rows after this timestamp again then",
        ) from None  # fmt: skip


def _ingested(accepted: int, rejected: list[RejectedRow], reply: Reply | None) -> dict[str, Any]:
    event_id = reply.event_id if reply else None
    return {
        "accepted": accepted,
        "rejected": [row.model_dump() for row in rejected],
        "event_id": event_id,
        "correlation_id": event_id,
    }


def _known(engine: MarketDataEngine, symbol: str) -> Latest:
    latest = engine.book.latest.get(symbol)
    if latest is None:
        raise Problem(404, "unknown-symbol", f"no price of '{symbol}' has been published", "see GET /symbols")
    return latest


def _page(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"items": items, "count": len(items), "next_cursor": None}


def _written(reply: Reply) -> dict[str, Any]:
    return {**reply.value, "event_id": reply.event_id, "correlation_id": reply.event_id}
