"""Metrics of the portfolio engine, read from its state when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from services.portfolio.engine import PortfolioEngine

#: Field of a valuation, metric, help text.
_VALUES = (
    ("equity", "nautilus_portfolio_total_value", "Cash and market value of a portfolio at its last valuation"),
    ("cash", "nautilus_portfolio_cash", "Cash of a portfolio at its last valuation"),
    ("unrealized_pnl", "nautilus_portfolio_unrealized_pnl", "Unrealised profit of a portfolio at its last valuation"),
    ("realized_pnl", "nautilus_portfolio_realized_pnl", "Realised profit of a portfolio since inception, before fees"),
    ("pnl_day", "nautilus_portfolio_pnl_day", "Profit of the day of a portfolio, cash flows taken out"),
    ("fees", "nautilus_portfolio_fees", "Fees of a portfolio since inception"),
)


class PortfolioMetrics:
    """A collector over one engine. Money is exported as floats, in the portfolio's base currency."""

    def __init__(self, engine: PortfolioEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The engine's figures now; a portfolio without a valuation has no samples."""
        state = self._engine.state
        for field, name, text in _VALUES:
            family = GaugeMetricFamily(name, text, labels=["portfolio", "currency"])
            for portfolio_id, portfolio in sorted(state.portfolios.items()):
                if portfolio.snapshot is not None:
                    value = float(getattr(portfolio.snapshot, field))
                    family.add_metric([portfolio_id, portfolio.base_currency], value)
            yield family
        yield CounterMetricFamily("nautilus_portfolio_fills", "Fills booked", value=state.fills_booked)
        yield CounterMetricFamily(
            "nautilus_portfolio_fills_repeated",
            "Fills that came again; they changed nothing",
            value=state.fills_repeated,
        )
        yield GaugeMetricFamily(
            "nautilus_portfolio_fills_waiting",
            "Fills waiting for their instrument's definition",
            value=len(state.waiting),
        )


def register_metrics(engine: PortfolioEngine, registry: CollectorRegistry) -> None:
    """Export the figures of ``engine`` through ``registry``."""
    registry.register(PortfolioMetrics(engine))
