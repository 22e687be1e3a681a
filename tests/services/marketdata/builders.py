"""What the tests of marketdata share: small data sets, and a fleet of real parts driven by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, QuoteReceived, StepClosed, TradeReceived
from libs.contracts.orders import SignalGenerated
from libs.engine.component import Component
from libs.engine.engine import Outbox
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event, Route, on
from libs.messagebus.transport import Quiescence
from services.fleet.simulation import Simulation
from services.marketdata.adapters.replay import ReplayAdapter
from services.marketdata.batches import TimestampBatch
from services.marketdata.engine import MarketDataEngine
from services.marketdata.progress import ReplayProgress
from services.marketdata.settings import MarketDataSettings
from services.marketdata.sources import FileSource, InstrumentSpec
from services.marketdata.stepping import REPLAY_FEED

DATA = Path(__file__).parents[2] / "data" / "marketdata"
DAY = 86_400_000_000_000
EQUITY = InstrumentSpec(asset_class="equity", currency="USD")


def ts(text: str) -> int:
    """Nanoseconds of an ISO time, by another way than the code under test (exact below a microsecond's float error)."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


def source(path: Path | str, records: Any = "close", **fields: Any) -> FileSource:
    """A file source of ``A.XNAS`` with ISO stamps unless told otherwise."""
    if not fields.keys() & {"symbol", "symbol_column", "symbols"}:
        fields["symbol"] = "A.XNAS"
    return FileSource(
        name=fields.pop("name", "test"), path=Path(path), records=records, **{"instrument": EQUITY, **fields}
    )


def settings(*sources: Any, **fields: Any) -> MarketDataSettings:
    """Settings that wait for the two members of :class:`Fleet`."""
    return MarketDataSettings(
        sources=sources, **{"speed": 0.0, "lockstep_readers": ("marketdata", "watcher"), **fields}
    )


def instrument(symbol: str, ts_event: int = DAY) -> InstrumentDefined:
    return EQUITY.define(symbol, ts_event, "test")


def close(symbol: str, ts_event: int, price: float = 10.0) -> CloseReceived:
    return CloseReceived(ts_event, symbol, "1d", price, "test")


def bar(symbol: str, ts_event: int, price: float = 10.0) -> BarClosed:
    return BarClosed(ts_event, symbol, "1d", price, price + 1, price - 1, price, 5.0, "test")


def quote(symbol: str, ts_event: int, bid: float = 10.0) -> QuoteReceived:
    return QuoteReceived(ts_event, symbol, bid, bid + 0.5, 1.0, 2.0, "test")


def trade(symbol: str, ts_event: int, price: float = 10.0) -> TradeReceived:
    return TradeReceived(ts_event, symbol, price, 1.0, "buy", "test")


def day_batch(day: int, *symbols: str, define: bool = False) -> TimestampBatch:
    """Closes of ``symbols`` on a day, with their definitions if asked."""
    instruments = [instrument(symbol, day * DAY) for symbol in symbols] if define else []
    return TimestampBatch(
        day * DAY, closes=[close(symbol, day * DAY, 10.0 + day) for symbol in symbols], instruments=instruments
    )


class Watcher:
    """A reader that answers every close with a signal, so that a drain takes more than one round."""

    name = "watcher"
    state_type: Any = TimestampBatch

    def __init__(self, clock: Clock, outbox: Outbox) -> None:
        self._outbox = outbox

    def routes(self) -> Sequence[Route]:
        return (on(topics.CLOSE, self.on_close), on(topics.STEP, self.on_step_closed))

    def on_start(self) -> None:
        pass

    def on_close(self, event: CloseReceived) -> None:
        self._outbox.publish(SignalGenerated(event.ts_event, "watcher", event.symbol, "flat", 0.0, "seen"))

    def on_step_closed(self, event: StepClosed) -> None:
        pass


class Stopped(Exception):
    """The test has seen enough."""


class Fleet:
    """Marketdata and a watcher on the real memory transport; time passes when the replay sleeps.

    Attributes:
        published: What marketdata published, in order.
        posted: Commands the replay sent.
        posted_while_busy: Commands sent while a reader had not caught up.
        on_sleep, before_post: Hooks of a test; what they raise ends the replay there.
    """

    def __init__(self, chosen: MarketDataSettings) -> None:
        self.settings = chosen
        self.progress = ReplayProgress()
        self.published: list[Event] = []
        self.posted: list[Event] = []
        self.posted_while_busy: list[Event] = []
        self.now_ns = 0
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = self.stop_when_finished
        self.before_post: Callable[[Event], None] = lambda _command: None
        components = [
            Component("marketdata", lambda clock, outbox: MarketDataEngine(clock, outbox, chosen), None),
            Component("watcher", cast(Any, Watcher), None),
        ]
        self.simulation = Simulation(components, 0, observe=self._observe)

    @property
    def engine(self) -> MarketDataEngine:
        return cast(MarketDataEngine, self.simulation.engine("marketdata"))

    def adapter(self) -> ReplayAdapter:
        """A fresh replay, as after a restart of the process."""
        return ReplayAdapter(
            self.engine,
            self.post,
            self.look,
            self.settings,
            self.progress,
            now_ns=lambda: self.now_ns,
            sleep=self.sleep,
        )

    async def post(self, command: Event) -> str:
        self.before_post(command)
        if not self.simulation.transport.quiescence_nowait(("marketdata", "watcher")).quiet:
            self.posted_while_busy.append(command)
        self.posted.append(command)
        self.simulation.post(command)
        return f"source:{len(self.posted)}"

    async def look(self, readers: Sequence[str]) -> Quiescence:
        return await self.simulation.transport.quiescence(readers)

    async def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)
        self.slept.append(seconds)
        self.on_sleep()
        self.simulation.drain()

    def stop_when_finished(self) -> None:
        feed = self.engine.state.feeds.get(REPLAY_FEED)
        if feed is not None and feed.state == "finished":
            raise Stopped

    def _observe(self, _stream: str, batch: RecordBatch) -> None:
        if batch.producer == "marketdata":
            self.published.extend(batch.events)


def write_closes(path: Path, days: int, columns: str = "A,B") -> FileSource:
    """A file with a column of closes for each symbol, ``days`` days from 2020-01-01."""
    names = columns.split(",")
    rows = [
        f"2020-01-{day:02d},{','.join(str(10 * n + day) for n in range(1, len(names) + 1))}"
        for day in range(1, days + 1)
    ]
    path.write_text("\n".join([f"timestamp,{columns}", *rows]) + "\n")
    return source(path, symbols={name: f"{name}.XNAS" for name in names}, timestamp={"unit": "date"})


def fleet_of(folder: Path, days: int = 5, **fields: Any) -> Fleet:
    """A fleet that replays ``days`` of two symbols."""
    return Fleet(settings(write_closes(folder / "closes.csv", days), **fields))


def run_until_stopped(fleet: Fleet) -> None:
    """Run a fresh replay until the fleet's hook has seen enough."""
    with pytest.raises(Stopped):
        asyncio.run(fleet.adapter().run())
