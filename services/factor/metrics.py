"""Metrics of the factor engine, read from its state when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from services.factor.engine import FactorEngine


class FactorMetrics:
    """A collector over one engine."""

    def __init__(self, engine: FactorEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The engine's figures now."""
        state = self._engine.state
        yield CounterMetricFamily("nautilus_factors_calculated", "Factor vectors published", value=state.calculated)
        yield CounterMetricFamily(
            "nautilus_factor_prices_ignored",
            "Prices not newer than the newest of their instrument; they changed nothing",
            value=state.ignored,
        )
        panel = state.panel
        yield GaugeMetricFamily(
            "nautilus_factor_universe", "Instruments in the newest cross-section", value=panel.universe if panel else 0
        )
        coverage = GaugeMetricFamily(
            "nautilus_factor_coverage",
            "Instruments with a value in the newest cross-section, by factor",
            labels=["factor"],
        )
        for factor_id, count in (panel.counts if panel else {}).items():
            coverage.add_metric([factor_id], count)
        yield coverage


def register_metrics(engine: FactorEngine, registry: CollectorRegistry) -> None:
    """Export the figures of ``engine`` through ``registry``."""
    registry.register(FactorMetrics(engine))
