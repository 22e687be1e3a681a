"""The features engine: one :class:`Series` per interval and instrument, one vector published per price.

It reads a single stream, so it may react at once: a vector depends on the prices of its own series and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.analysis import FeaturesCalculated
from libs.contracts.market import BarClosed, CloseReceived
from libs.engine.engine import Outbox
from libs.messagebus.topic import Route, on
from services.features.series import Series
from services.features.settings import FeaturesSettings


class FeaturesState(msgspec.Struct):
    """Everything needed to continue bit for bit.

    Attributes:
        series: Interval to symbol to its series.
        latest: Interval to symbol to the newest vector.
        calculated: Vectors published.
        ignored: Prices not newer than the newest of their series, which changed nothing.
    """

    series: dict[str, dict[str, Series]] = {}
    latest: dict[str, dict[str, FeaturesCalculated]] = {}
    calculated: dict[str, int] = {}
    ignored: int = 0


class FeaturesEngine:
    """State machine of the features service."""

    name = "features"
    state_type: type[msgspec.Struct] = FeaturesState

    def __init__(self, clock: Clock, outbox: Outbox, settings: FeaturesSettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self.settings = settings
        self.state = FeaturesState()

    def routes(self) -> Sequence[Route]:
        """Bars and closes."""
        return (on(topics.BAR, self.on_bar), on(topics.CLOSE, self.on_close))

    def on_start(self) -> None:
        """Nothing to do: a series begins with its first price."""

    def on_time_event(self, name: str, ts_event: int) -> None:
        """No timer is armed here."""

    # -- prices -----------------------------------------------------------------------------------

    def on_bar(self, event: BarClosed) -> None:
        """Publish the features after a bar."""
        self._take(event, event.close, event.high, event.low, event.volume)

    def on_close(self, event: CloseReceived) -> None:
        """Publish the features after a close-only price; what needs a range or a volume is missing."""
        self._take(event, event.close, None, None, None)

    def _take(
        self,
        event: BarClosed | CloseReceived,
        close: float,
        high: float | None,
        low: float | None,
        volume: float | None,
    ) -> None:
        state, interval, symbol = self.state, event.interval, event.symbol
        known = state.series.get(interval)
        series = known.get(symbol) if known is not None else None
        if series is None:
            series = Series.fresh(interval)
        elif event.ts_event <= series.timestamps[-1]:
            # A second source for the same bar, or a resend: the first one stands, as it was already acted on.
            state.ignored += 1
            return
        values, missing = series.update(event.ts_event, close, high, low, volume)
        series.source = event.source
        series.is_synthetic = series.is_synthetic or event.is_synthetic
        vector = FeaturesCalculated(
            event.ts_event, symbol, interval, values, missing, series.timestamps[0], series.is_synthetic
        )
        if known is None:
            known = state.series[interval] = {}
            state.latest[interval] = {}
            state.calculated[interval] = 0
        known[symbol] = series
        state.latest[interval][symbol] = vector
        state.calculated[interval] += 1
        self._outbox.publish(vector)

    # -- reading ----------------------------------------------------------------------------------

    def latest(self, symbol: str, interval: str) -> tuple[FeaturesCalculated, str] | None:
        """The newest vector of a series and the source of its newest price, or None."""
        vector = self.state.latest.get(interval, {}).get(symbol)
        return None if vector is None else (vector, self.state.series[interval][symbol].source)

    def age_seconds(self, ts_event: int) -> float:
        """How long ago ``ts_event`` was on this engine's clock."""
        return (self._clock.timestamp_ns() - ts_event) / 1e9

    # -- life -------------------------------------------------------------------------------------

    def snapshot(self) -> FeaturesState:
        """The state itself; the host encodes it before the next event."""
        return self.state

    def restore(self, state: FeaturesState) -> None:
        """Continue from a snapshot."""
        self.state = state

    def status(self) -> Mapping[str, Any]:
        """Counters."""
        state = self.state
        return {
            "features_calculated": sum(state.calculated.values()),
            "series_open": sum(len(known) for known in state.series.values()),
            "prices_ignored": state.ignored,
            "intervals": sorted(state.series),
        }
