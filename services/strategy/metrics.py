"""Metrics of the strategy engine, read from its state when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from services.strategy.engine import StrategyEngine


class StrategyMetrics:
    """A collector over one engine."""

    def __init__(self, engine: StrategyEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The engine's figures now."""
        state, book = self._engine.state, self._engine.state.book
        yield CounterMetricFamily("nautilus_trades", "Executions booked", value=book.fills)
        yield CounterMetricFamily(
            "nautilus_orders_submitted", "Orders that passed the pre-trade gate", value=book.submitted
        )
        yield _labelled("nautilus_orders_denied", "Orders the pre-trade gate denied, by check", "check", state.denials)
        yield _labelled("nautilus_orders_ended", "Orders that are over, by their last state", "state", book.ended)
        yield _labelled(
            "nautilus_venue_reports_refused",
            "Reports of venues that were not applied, by why: duplicates, unknown orders, illegal in the order's state",
            "why",
            book.refused_reports,
        )
        yield GaugeMetricFamily(
            "nautilus_active_orders", "Orders that are not over", value=self._engine.orders.working_count
        )
        unknown = sum(order.state == "unknown" for order in self._engine.orders.working())
        yield GaugeMetricFamily("nautilus_unknown_orders", "Orders their venue has not answered in time", value=unknown)
        yield from self._rates()
        yield GaugeMetricFamily("nautilus_halts", "Halts in force, of any scope", value=len(state.halts))
        running = GaugeMetricFamily("nautilus_strategy_running", "1 while a strategy may trade", labels=["strategy_id"])
        for key, slot in sorted(state.slots.items()):
            running.add_metric([key], float(slot.state == "running"))
        yield running

    def _rates(self) -> Iterator[Metric]:
        """Figures that have no value before the first order or fill: absent until then."""
        book = self._engine.state.book
        ended = sum(book.ended.values())
        if ended:
            yield GaugeMetricFamily(
                "nautilus_order_success_rate",
                "Share of the orders that are over that were wholly filled",
                value=book.ended.get("filled", 0) / ended,
            )
        if book.reference_notional:
            yield GaugeMetricFamily(
                "nautilus_execution_slippage_bps",
                "Slippage of all fills in basis points of the venue's reference prices, by notional; positive = worse",
                value=float(book.slippage_notional / book.reference_notional * 10_000),
            )


def _labelled(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family


def register_metrics(engine: StrategyEngine, registry: CollectorRegistry) -> None:
    """Export the figures of ``engine`` through ``registry``."""
    registry.register(StrategyMetrics(engine))
