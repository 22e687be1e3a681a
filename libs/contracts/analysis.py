"""What features, factor, ml and analytics publish.

A value that cannot be computed is absent from ``values`` and present in ``missing`` with the reason.
"""

from __future__ import annotations

from libs.messagebus.topic import Event


class FeaturesCalculated(Event, frozen=True, tag="features.calculated.v1"):
    """Technical features of one instrument after one bar or close.

    Attributes:
        values: Feature name to value.
        missing: Feature name to the reason it has none (``warm-up: 5 of 14``).
        window_start: ``ts_event`` of the oldest price inside the longest window used.
    """

    symbol: str
    interval: str
    values: dict[str, float]
    missing: dict[str, str]
    window_start: int
    is_synthetic: bool = False


class FactorsCalculated(Event, frozen=True, tag="factors.calculated.v1"):
    """Cross-sectional factor values of one instrument on one date.

    Attributes:
        values: Factor id to raw value.
        zscores: Factor id to the z-score over the universe of that date.
        missing: Factor id to the reason it has none.
    """

    symbol: str
    values: dict[str, float]
    zscores: dict[str, float]
    missing: dict[str, str]
    is_synthetic: bool = False


class FactorPanelCalculated(Event, frozen=True, tag="factors.panel.v1"):
    """One date of the whole universe is done: ``counts`` = instruments with a value, per factor."""

    universe: int
    counts: dict[str, int]


class PredictionMade(Event, frozen=True, tag="ml.predictions.v1"):
    """A forecast of the next period's return, with its out-of-sample record beside it.

    Attributes:
        value: Predicted simple return over ``horizon``.
        hit_rate: Share of past out-of-sample predictions with the right sign; None before there are any.
        information_coefficient: Mean daily Spearman rank correlation of predictions and outcomes, out of sample.
        observations: Past out-of-sample predictions behind those two figures.
        seed: Seed of the training run.
    """

    symbol: str
    model_id: str
    version: int
    horizon: str
    value: float
    hit_rate: float | None
    information_coefficient: float | None
    observations: int
    seed: int
    is_synthetic: bool = False


class ModelTrained(Event, frozen=True, tag="ml.training_updates.v1"):
    """A model version was fitted on data up to ``trained_until``.

    Attributes:
        data_hash: Hash of the training matrix and targets.
        metrics: In-sample metrics by name, and the naive benchmark's beside them.
    """

    model_id: str
    version: int
    algorithm: str
    rows: int
    trained_until: int
    data_hash: str
    seed: int
    metrics: dict[str, float]


class PerformanceCalculated(Event, frozen=True, tag="analytics.results.v1"):
    """Performance of a portfolio since inception (empyrical's definitions).

    Attributes:
        metrics: Name to value (``sharpe_ratio``, ``max_drawdown``, ...).
        missing: Name to the reason it has none.
        observations: Returns used.
        benchmark: Symbol that ``alpha`` and ``beta`` are measured against.
        benchmark_observations: Returns behind those two; a benchmark may begin later than the portfolio.
    """

    portfolio_id: str
    metrics: dict[str, float]
    missing: dict[str, str]
    observations: int
    period_start: int
    benchmark: str = ""
    is_synthetic: bool = False
    benchmark_observations: int = 0


class VolatilityForecast(Event, frozen=True, tag="volatility.forecast.v1"):
    """Annualised volatility forecast of one instrument by a named model."""

    symbol: str
    model: str
    horizon_days: int
    volatility: float
    observations: int
    is_synthetic: bool = False
