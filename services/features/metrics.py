"""Metrics of the features engine, read from its state when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from services.features.engine import FeaturesEngine


class FeaturesMetrics:
    """A collector over one engine."""

    def __init__(self, engine: FeaturesEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The engine's figures now."""
        state = self._engine.state
        calculated = CounterMetricFamily(
            "features_calculated", "Feature vectors published, by interval of the series", labels=["interval"]
        )
        open_series = GaugeMetricFamily(
            "nautilus_features_series", "Price series held, by interval", labels=["interval"]
        )
        for interval in sorted(state.series):
            calculated.add_metric([interval], state.calculated[interval])
            open_series.add_metric([interval], len(state.series[interval]))
        yield calculated
        yield open_series
        yield CounterMetricFamily(
            "nautilus_features_prices_ignored",
            "Prices not newer than the newest of their series; they changed nothing",
            value=state.ignored,
        )


def register_metrics(engine: FeaturesEngine, registry: CollectorRegistry) -> None:
    """Export the figures of ``engine`` through ``registry``."""
    registry.register(FeaturesMetrics(engine))
