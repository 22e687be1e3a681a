"""Metrics of the ml engine, read from its state when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from services.ml.engine import MlEngine


class MlMetrics:
    """A collector over one engine; a figure that does not exist yet is not exported."""

    def __init__(self, engine: MlEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The engine's figures now."""
        state = self._engine.state
        yield CounterMetricFamily("nautilus_ml_predictions", "Predictions published", value=state.predictions)
        yield CounterMetricFamily(
            "nautilus_ml_predictions_scored", "Predictions whose outcome is known", value=state.record.observations
        )
        yield CounterMetricFamily(
            "nautilus_ml_prices_ignored",
            "Prices not newer than the newest of their instrument; they changed nothing",
            value=state.ignored,
        )
        yield GaugeMetricFamily("nautilus_ml_training_rows", "Rows seen for training", value=state.moments.count)
        yield GaugeMetricFamily(
            "nautilus_ml_model_version", "Version of the model in use, 0 before the first", value=self._version()
        )
        figures = state.record.figures()
        for name, text in (
            ("hit_rate", "Share of out-of-sample predictions with the right sign"),
            ("information_coefficient", "Mean daily rank correlation of predictions and outcomes, out of sample"),
            ("r2_against_zero", "Out-of-sample R2 against predicting no change; negative = worse"),
            ("interval_coverage", "Share of outcomes inside their 80 % interval"),
        ):
            value = figures[name]
            if value is not None:
                yield GaugeMetricFamily(f"nautilus_ml_{name}", text, value=value)

    def _version(self) -> int:
        model = self._engine.state.model
        return 0 if model is None else model.version


def register_metrics(engine: MlEngine, registry: CollectorRegistry) -> None:
    """Export the figures of ``engine`` through ``registry``."""
    registry.register(MlMetrics(engine))
