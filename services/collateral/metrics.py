"""Metrics of the collateral engine, read from its state when they are scraped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.collateral.alerts import LEVELS

if TYPE_CHECKING:
    from services.collateral.engine import CollateralEngine


class CollateralMetrics(Collector):
    """A collector over one engine."""

    def __init__(self, engine: CollateralEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The engine's figures now; a portfolio without a margin yet has no sample."""
        label = ["portfolio_id"]
        utilization = GaugeMetricFamily(
            "nautilus_margin_utilization",
            "Total margin over what stands against it; +Inf when nothing does",
            labels=label,
        )
        total = GaugeMetricFamily("nautilus_margin_total", "Net initial margin, base currency", labels=label)
        excess = GaugeMetricFamily("nautilus_margin_excess", "Collateral less total margin", labels=label)
        unrated = GaugeMetricFamily(
            "nautilus_margin_unrated_positions", "Positions charged in full for want of an input", labels=label
        )
        calculations = CounterMetricFamily("nautilus_margin_calculations", "Margins calculated", labels=label)
        alerts = CounterMetricFamily("nautilus_margin_alerts", "Alerts raised", labels=["portfolio_id", "severity"])
        for portfolio_id, account in sorted(self._engine.state.accounts.items()):
            result = account.result
            if result is None:
                continue
            used = result.margin_utilization
            utilization.add_metric([portfolio_id], math.inf if used is None else used)
            total.add_metric([portfolio_id], float(result.total_margin))
            excess.add_metric([portfolio_id], float(result.margin_excess))
            unrated.add_metric([portfolio_id], len(result.unpriced))
            calculations.add_metric([portfolio_id], account.calculations)
            for severity in LEVELS[1:]:
                alerts.add_metric([portfolio_id, severity], account.alerts_raised.get(severity, 0))
        yield from (utilization, total, excess, unrated, calculations, alerts)


def register_metrics(engine: CollateralEngine, registry: CollectorRegistry) -> None:
    """Export the figures of ``engine`` through ``registry``."""
    registry.register(CollateralMetrics(engine))
