"""Metrics of the risk engine, read from its state when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from services.risk.engine import RiskEngine

#: Field of an exposure, metric, help text.
_EXPOSURES = (
    ("gross", "nautilus_risk_gross_exposure", "Sum of the sizes of all positions, base currency"),
    ("net", "nautilus_risk_net_exposure", "Long less short, base currency"),
    ("leverage", "nautilus_risk_leverage", "Gross exposure over equity"),
    ("concentration", "nautilus_risk_concentration", "Largest position over gross exposure"),
    ("drawdown", "nautilus_risk_drawdown", "Equity below its peak, deposits and withdrawals taken out"),
)
_SCOPES = ("all", "portfolio", "strategy", "symbol")


class RiskMetrics:
    """A collector over one engine; what could not be measured, or is stale, has no sample."""

    def __init__(self, engine: RiskEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The engine's figures now."""
        state = self._engine.state
        fresh = {key: found for key, found in sorted(state.assessments.items()) if not found.stale}
        for field, name, text in _EXPOSURES:
            family = GaugeMetricFamily(name, text, labels=["portfolio"])
            for portfolio_id, found in fresh.items():
                value = getattr(found.exposure, field)
                if value is not None:
                    family.add_metric([portfolio_id], value)
            yield family
        var = GaugeMetricFamily(
            "nautilus_risk_var_amount",
            "One-day historical value at risk, base currency, positive = loss",
            labels=["portfolio", "confidence_level"],
        )
        for portfolio_id, found in fresh.items():
            for level, name in (("0.95", "historical_var_95"), ("0.99", "historical_var_99")):
                if name in found.risk.values:
                    var.add_metric([portfolio_id, level], found.risk.values[name])
        yield var
        yield from self._alarms()

    def _alarms(self) -> Iterator[Metric]:
        state = self._engine.state
        yield CounterMetricFamily(
            "nautilus_risk_breach_alerts", "Breaches announced, changes of severity included", value=state.alerts
        )
        opened = GaugeMetricFamily("nautilus_risk_breaches_open", "Open breaches", labels=["severity"])
        for severity in ("low", "medium", "high", "critical"):
            count = sum(1 for breach in state.open_breaches.values() if breach.severity == severity)
            opened.add_metric([severity], count)
        yield opened
        halts = GaugeMetricFamily("nautilus_risk_halts", "Halts in force", labels=["scope"])
        for scope in _SCOPES:
            halts.add_metric([scope], sum(1 for held_scope, _ in state.halts if held_scope == scope))
        yield halts


def register_metrics(engine: RiskEngine, registry: CollectorRegistry) -> None:
    """Export the figures of ``engine`` through ``registry``."""
    registry.register(RiskMetrics(engine))
