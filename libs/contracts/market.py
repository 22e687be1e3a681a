"""Market data: what marketdata publishes and what commands it obeys.

Prices are floats (they are observations, not money). Every event names its ``source``;
``is_synthetic`` is true where nothing real stands behind it.
"""

from __future__ import annotations

from typing import Literal

from libs.messagebus.topic import Event

AssetClass = Literal["equity", "index", "bond", "fx", "commodity", "derivative", "crypto"]
StepStage = Literal["mark", "assess", "decide"]

#: The stages of one closed timestamp, in order. See ``StepClosed``.
STEP_STAGES: tuple[StepStage, ...] = ("mark", "assess", "decide")


class InstrumentDefined(Event, frozen=True, tag="marketdata.instrument.v1"):
    """An instrument exists; published before its first price and again when it changes.

    Attributes:
        symbol: ``SYMBOL.VENUE``.
        tick_size, lot_size: Decimal strings; ``"0"`` tick = any price is allowed.
        is_tradable: False for indices and other references.
        multiplier: Contract multiplier, 1 for cash instruments.
    """

    symbol: str
    asset_class: AssetClass
    currency: str
    tick_size: str = "0.01"
    lot_size: str = "1"
    multiplier: str = "1"
    is_tradable: bool = True
    sector: str = ""
    source: str = ""
    is_synthetic: bool = False


class QuoteReceived(Event, frozen=True, tag="marketdata.quote.v1"):
    """Best bid and ask."""

    symbol: str
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    source: str
    is_synthetic: bool = False


class TradeReceived(Event, frozen=True, tag="marketdata.tick.v1"):
    """One public trade; ``aggressor`` is buy, sell or unknown."""

    symbol: str
    price: float
    size: float
    aggressor: Literal["buy", "sell", "unknown"]
    source: str
    is_synthetic: bool = False


class BarClosed(Event, frozen=True, tag="marketdata.bar.v1"):
    """A finished bar; ``ts_event`` is its close."""

    symbol: str
    interval: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    source: str
    is_synthetic: bool = False


class CloseReceived(Event, frozen=True, tag="marketdata.close.v1"):
    """A close-only price: the source publishes no open, high, low or volume, and none is made up."""

    symbol: str
    interval: str
    close: float
    source: str
    is_synthetic: bool = False


class StepClosed(Event, frozen=True, tag="marketdata.step.v1"):
    """Everything of timestamp ``ts_event`` has been published.

    Each timestamp closes in three stages, in order. In lockstep the source waits after the data and
    after every stage until the whole fleet is quiet, so an engine that combines several streams and
    computes in its stage sees the same inputs in every run:

    - ``mark``: features, predictions and the portfolio's valuation are published;
    - ``assess``: risk, margin and performance are computed from them;
    - ``decide``: strategies decide and orders go out.

    Attributes:
        step: Count of closed timestamps since the data set began, from 1.
    """

    stage: StepStage
    step: int
    source: str = ""


class FeedStateChanged(Event, frozen=True, tag="marketdata.feed.v1"):
    """A source changed state; ``detail`` says why, ``cursor_ns`` is the last timestamp it published."""

    feed: str
    state: Literal["starting", "running", "paused", "finished", "failed", "stopped"]
    detail: str = ""
    cursor_ns: int = 0
    speed: float = 0.0


class IngestMarketData(Event, frozen=True, tag="marketdata.ingest.v1"):
    """Command: publish these records of one timestamp.

    A batch at or before the feed's cursor was ingested already and is ignored, so a source that
    restarts may send its last batch again.

    Attributes:
        ts_event: The timestamp all records share.
        part: 0-based part of the timestamp when it is too large for one entry.
    """

    feed: str
    part: int
    is_last_part: bool
    bars: list[BarClosed] = []
    closes: list[CloseReceived] = []
    quotes: list[QuoteReceived] = []
    trades: list[TradeReceived] = []
    instruments: list[InstrumentDefined] = []


class CloseStep(Event, frozen=True, tag="marketdata.close_step.v1"):
    """Command: publish ``StepClosed`` for ``ts_event`` and ``stage`` unless that was done already."""

    feed: str
    stage: StepStage


class ControlFeed(Event, frozen=True, tag="marketdata.control_feed.v1"):
    """Command: steer a replaying feed.

    Attributes:
        action: pause, resume, seek (to ``to_ns``) or speed (``speed`` steps a second, 0 = as fast as readers keep up).
    """

    feed: str
    action: Literal["pause", "resume", "seek", "speed"]
    actor: str
    reason: str = ""
    to_ns: int = 0
    speed: float = 0.0


class ReportFeedState(Event, frozen=True, tag="marketdata.report_feed_state.v1"):
    """Command from a source adapter: this is the state of your feed now.

    Attributes:
        speed: Steps a second the adapter was configured with, 0 = as fast as readers keep up. It becomes the feed's
            speed when it differs from the one reported before, so that a restart does not undo a ``ControlFeed``.
        first_ns, last_ns, steps: Bounds and count of the timestamps a replay will publish; 0 where unknown.
    """

    feed: str
    state: Literal["starting", "running", "paused", "finished", "failed", "stopped"]
    detail: str = ""
    speed: float = 0.0
    first_ns: int = 0
    last_ns: int = 0
    steps: int = 0
