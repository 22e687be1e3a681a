"""What the HTTP surface of analytics takes and answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from libs.engine.settings import parse_time_ns
from services.analytics.windows import METRIC_NAMES, MetricName

#: A point in time: UNIX ns or ISO 8601.
Moment = Annotated[int | None, BeforeValidator(parse_time_ns)]
Rate = Annotated[float, Field(gt=-1, le=10, allow_inf_nan=False, description="Yearly risk-free rate, a fraction")]
Symbol = Annotated[str, Field(min_length=1, max_length=64)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PerformanceRequest(_Request):
    """Window and references of a performance calculation; ``symbol`` is another name of ``benchmark``."""

    benchmark: Symbol | None = Field(None, validation_alias=AliasChoices("benchmark", "symbol"))
    period_days: int = Field(252, ge=2, le=5_040)
    risk_free_rate: Rate = 0.0


class CalculateRequest(_Request):
    """Which figures over which range ``[start_date, end_date)``; null = all."""

    metrics: list[MetricName] | None = Field(None, min_length=1)
    start_date: Moment = None
    end_date: Moment = None
    benchmark: Symbol | None = Field(None, validation_alias=AliasChoices("benchmark", "symbol"))
    risk_free_rate: Rate = 0.0

    @model_validator(mode="after")
    def _range_is_forward(self) -> CalculateRequest:
        if self.start_date is not None and self.end_date is not None and self.start_date >= self.end_date:
            raise ValueError(f"start_date must be before end_date, was {self.start_date} and {self.end_date}")
        return self

    @property
    def names(self) -> tuple[MetricName, ...]:
        """The figures asked for, each once."""
        return METRIC_NAMES if self.metrics is None else tuple(dict.fromkeys(self.metrics))


class Provenance(BaseModel):
    """Where an answer is from; every computed answer carries it."""

    source: str
    method: str
    as_of: str
    ts_event: int
    age_seconds: float
    is_synthetic: bool


class Performance(Provenance):
    """Performance over a window; what has no value is null and named in ``reasons``."""

    id: str
    total_return_pct: float | None
    annual_return_pct: float | None
    volatility_pct: float | None
    max_drawdown_pct: float | None
    win_rate_pct: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    profit_factor: float | None
    alpha: float | None
    beta: float | None
    benchmark: str
    benchmark_observations: int
    observations: int
    period_start: str
    period_end: str
    risk_free_rate: float
    risk_free_per_period: float
    periods_per_year: int
    reasons: dict[str, str]


class Calculation(Provenance):
    """Figures by name (fractions, not percent); what has no value is null and named in ``reasons``."""

    id: str
    metrics: dict[str, float | None]
    reasons: dict[str, str]
    observations: int
    benchmark: str
    benchmark_observations: int
    period_start: str
    period_end: str
    risk_free_per_period: float
    periods_per_year: int


class Page(BaseModel):
    """Part of a series, oldest first; pass ``next_cursor`` to go on."""

    items: list[dict[str, Any]]
    count: int
    next_cursor: str | None
