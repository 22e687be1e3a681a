"""The factor engine: takes daily closes as they come, and publishes the day's cross-section at ``StepClosed`` "mark".

A cross-section combines the prices of all instruments, so it waits until all prices of the timestamp are there. The
universe of a timestamp is every tradable instrument that has a price at exactly that timestamp, sorted by symbol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.analysis import FactorPanelCalculated, FactorsCalculated
from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, StepClosed
from libs.engine.engine import Outbox
from libs.messagebus.topic import Route, on
from services.factor.crosssection import standardise
from services.factor.definitions import FACTOR_IDS, LOOKBACKS
from services.factor.history import History, Track
from services.factor.settings import FactorSettings

#: The only interval used: every lookback counts trading days.
DAILY = "1d"


class Result(msgspec.Struct):
    """The newest factors of one instrument, and the closes there were behind them."""

    event: FactorsCalculated
    closes: int


class FactorState(msgspec.Struct):
    """Everything needed to continue bit for bit; the moving sums follow from ``histories``.

    Attributes:
        tradable: Symbol to whether it is tradable, of every defined instrument.
        panel: The newest panel, None before the first.
        calculated: Factor vectors published.
        ignored: Prices not newer than the newest of their instrument.
        other_intervals: Prices of intervals other than a day.
        price_ids: By symbol, id of the event its newest price came by; its factors name it.
    """

    histories: dict[str, History] = {}
    tradable: dict[str, bool] = {}
    results: dict[str, Result] = {}
    panel: FactorPanelCalculated | None = None
    calculated: int = 0
    ignored: int = 0
    other_intervals: int = 0
    price_ids: dict[str, str] = {}


class FactorEngine:
    """State machine of the factor service."""

    name = "factor"
    state_type: type[msgspec.Struct] = FactorState

    def __init__(self, clock: Clock, outbox: Outbox, settings: FactorSettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self.settings = settings
        self.state = FactorState()
        self._tracks: dict[str, Track] = {}

    def routes(self) -> Sequence[Route]:
        """Instruments, prices and steps."""
        return (
            on(topics.INSTRUMENT, self.on_instrument),
            on(topics.BAR, self.on_price),
            on(topics.CLOSE, self.on_price),
            on(topics.STEP, self.on_step_closed),
        )

    def on_start(self) -> None:
        """Nothing to do: the universe grows with its instruments."""

    def on_time_event(self, name: str, ts_event: int) -> None:
        """No timer is armed here."""

    # -- input ------------------------------------------------------------------------------------

    def on_instrument(self, event: InstrumentDefined) -> None:
        """Remember whether an instrument belongs to the universe."""
        self.state.tradable[event.symbol] = event.is_tradable

    def on_price(self, event: BarClosed | CloseReceived) -> None:
        """Take a daily close."""
        state = self.state
        if event.interval != DAILY:
            state.other_intervals += 1
            return
        track = self._tracks.get(event.symbol)
        if track is not None and event.ts_event <= track.history.last_ts:
            # A second source for the same day, or a resend: the first one stands, as in the features engine.
            state.ignored += 1
            return
        track = track or Track(History())
        track.update(event.ts_event, event.close, event.is_synthetic, event.source)
        self._tracks[event.symbol] = track
        state.histories[event.symbol] = track.history
        state.price_ids[event.symbol] = self._outbox.event_id

    # -- the cross-section ------------------------------------------------------------------------

    def on_step_closed(self, event: StepClosed) -> None:
        """Publish the cross-section of this timestamp, if any instrument of the universe has a price at it."""
        if event.stage != "mark":
            return
        tradable = self.state.tradable
        members = sorted(
            symbol
            for symbol, track in self._tracks.items()
            if track.history.last_ts == event.ts_event and tradable.get(symbol, False)
        )
        if members:
            self._publish(event.ts_event, members)

    def _publish(self, ts_event: int, members: list[str]) -> None:
        raw = {symbol: self._tracks[symbol].factors() for symbol in members}
        standardised = {
            factor_id: standardise({symbol: raw[symbol][factor_id] for symbol in members if factor_id in raw[symbol]})
            for factor_id in FACTOR_IDS
        }
        # A z-score sees every member, so one synthetic price in any window marks the whole cross-section.
        is_synthetic = any(self._tracks[symbol].history.synthetic_left for symbol in members)
        for symbol in members:
            values, zscores, missing = raw[symbol], {}, {}
            for factor_id in FACTOR_IDS:
                if factor_id not in values:
                    missing[factor_id] = self._tracks[symbol].reason(LOOKBACKS[factor_id])
                elif standardised[factor_id].reason:
                    missing[f"{factor_id}_zscore"] = standardised[factor_id].reason
                else:
                    zscores[factor_id] = standardised[factor_id].zscores[symbol]
            vector = FactorsCalculated(ts_event, symbol, values, zscores, missing, is_synthetic)
            self.state.results[symbol] = Result(vector, len(self._tracks[symbol].history.closes))
            self._outbox.publish_because(vector, (self.state.price_ids.get(symbol, ""),))
        counts = {factor_id: sum(factor_id in raw[symbol] for symbol in members) for factor_id in FACTOR_IDS}
        self.state.panel = FactorPanelCalculated(ts_event, len(members), counts)
        self.state.calculated += len(members)
        self._outbox.publish(self.state.panel)

    # -- reading ----------------------------------------------------------------------------------

    def age_seconds(self, ts_event: int) -> float:
        """How long ago ``ts_event`` was on this engine's clock."""
        return (self._clock.timestamp_ns() - ts_event) / 1e9

    # -- life -------------------------------------------------------------------------------------

    def snapshot(self) -> FactorState:
        """The state itself; the host encodes it before the next event."""
        return self.state

    def restore(self, state: FactorState) -> None:
        """Continue from a snapshot; the moving sums are rebuilt, exactly."""
        self.state = state
        self._tracks = {symbol: Track(history) for symbol, history in state.histories.items()}

    def status(self) -> Mapping[str, Any]:
        """Counters."""
        state = self.state
        return {
            "factors_calculated": state.calculated,
            "factor_definitions_loaded": len(FACTOR_IDS),
            "cache_entries": len(state.results),
            "instruments": len(state.histories),
            "universe": state.panel.universe if state.panel else 0,
            "prices_ignored": state.ignored,
            "prices_of_other_intervals": state.other_intervals,
        }
