"""Metrics of marketdata, read from its state and from the replay's observations when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from services.marketdata.progress import LATENCY_BOUNDS, LatencyHistogram, ReplayProgress

if TYPE_CHECKING:
    from services.marketdata.engine import MarketDataEngine


class MarketDataMetrics:
    """A collector over one engine and the replay beside it."""

    def __init__(self, engine: MarketDataEngine, progress: ReplayProgress) -> None:
        self._engine = engine
        self._progress = progress

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        state = self._engine.state
        messages = CounterMetricFamily(
            "marketdata_messages_processed", "Market data records published", labels=["data_type"]
        )
        for kind, count in sorted(state.published.items()):
            messages.add_metric([kind], count)
        yield messages
        yield CounterMetricFamily(
            "nautilus_marketdata_steps", "Timestamps whose three stages are closed", value=state.step
        )
        yield CounterMetricFamily(
            "nautilus_marketdata_repeated_commands",
            "Commands that had been carried out before and changed nothing",
            value=state.repeated,
        )
        yield GaugeMetricFamily("nautilus_marketdata_symbols", "Instruments defined", value=len(state.instruments))
        yield from self._feeds()
        latency = HistogramMetricFamily(
            "marketdata_processing_latency_seconds",
            "From handing a timestamp to the bus until every reader has committed past it, by part of the step",
            labels=["part"],
        )
        for part, histogram in (("ingest", self._progress.ingest), ("step", self._progress.step)):
            latency.add_metric([part], _buckets(histogram), histogram.total_seconds)
        yield latency

    def _feeds(self) -> Iterator[Metric]:
        cursor = GaugeMetricFamily(
            "nautilus_marketdata_feed_cursor_seconds",
            "Newest timestamp a feed published, UNIX seconds",
            labels=["feed"],
        )
        states = GaugeMetricFamily(
            "nautilus_marketdata_feed_state", "1 for the state a feed is in", labels=["feed", "state"]
        )
        for name, feed in sorted(self._engine.state.feeds.items()):
            cursor.add_metric([name], feed.cursor_ns / 1e9)
            states.add_metric([name, feed.state], 1)
        yield cursor
        yield states
        yield GaugeMetricFamily(
            "nautilus_marketdata_waiting_for",
            "Readers that lockstep waits for now",
            value=len(self._progress.waiting_for),
        )


def _buckets(histogram: LatencyHistogram) -> list[tuple[str, float]]:
    bounds = [(str(bound), float(count)) for bound, count in zip(LATENCY_BOUNDS, histogram.counts, strict=True)]
    return [*bounds, ("+Inf", float(histogram.count))]


def register_metrics(engine: MarketDataEngine, registry: CollectorRegistry, progress: ReplayProgress) -> None:
    """Export the figures of ``engine`` and its replay through ``registry``."""
    registry.register(MarketDataMetrics(engine, progress))
