"""Metrics of the analytics engine, read from its state when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.analytics.execution import in_basis_points

if TYPE_CHECKING:
    from services.analytics.engine import AnalyticsEngine


class AnalyticsMetrics(Collector):
    """A collector over one engine; a figure that has no value has no sample."""

    def __init__(self, engine: AnalyticsEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The engine's figures now."""
        state = self._engine.state
        yield from self._portfolios()
        for name, text, count in (
            ("performance_published", "Performance events published", state.performance_published),
            ("volatility_forecasts", "Volatility forecasts published", state.forecasts_published),
            ("analytics_prices_ignored", "Prices older than the newest or not positive", state.prices_ignored),
            ("analytics_valuations_ignored", "Valuations out of order or after a total loss", state.valuations_ignored),
        ):
            yield CounterMetricFamily(f"nautilus_{name}", text, value=count)
        yield GaugeMetricFamily(
            "nautilus_analytics_symbols", "Instruments with a price series", value=len(state.symbols)
        )

    def _portfolios(self) -> Iterator[Metric]:
        label = ["portfolio_id"]
        figures = GaugeMetricFamily(
            "nautilus_performance", "Figures since inception, fractions", labels=["portfolio_id", "metric"]
        )
        returns = GaugeMetricFamily(
            "nautilus_performance_observations", "Daily returns behind the figures", labels=label
        )
        trades = CounterMetricFamily("nautilus_trades", "Fills", labels=label)
        slippage = GaugeMetricFamily(
            "nautilus_execution_slippage_bps", "Cost of all fills against the venue's reference price", labels=label
        )
        latency = GaugeMetricFamily(
            "nautilus_execution_time_ms", "Mean fleet time from submission to fill", labels=label
        )
        for portfolio_id, record in sorted(self._engine.state.portfolios.items()):
            for metric, value in sorted(self._engine.figures_of(record)[0].items()):
                figures.add_metric([portfolio_id, metric], value)
            returns.add_metric([portfolio_id], record.series.current().count)
            totals = record.execution
            trades.add_metric([portfolio_id], totals.fills)
            cost = in_basis_points(totals.slippage, totals.reference_notional)
            if cost is not None:
                slippage.add_metric([portfolio_id], cost)
            if totals.arrivals:
                latency.add_metric([portfolio_id], totals.latency_ns / totals.arrivals / 1e6)
        yield from (figures, returns, trades, slippage, latency)


def register_metrics(engine: AnalyticsEngine, registry: CollectorRegistry) -> None:
    """Export the figures of ``engine`` through ``registry``."""
    registry.register(AnalyticsMetrics(engine))
