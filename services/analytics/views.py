"""Answers of the HTTP surface, read from the engine's state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from libs.engine.problems import Problem
from services.analytics.engine import AnalyticsEngine
from services.analytics.execution import ExecutionTotals, in_basis_points
from services.analytics.requests import CalculateRequest, Calculation, Page, Performance, PerformanceRequest
from services.analytics.state import PortfolioRecord
from services.analytics.volatility import DECAY, MIN_OBSERVATIONS, MODEL, SymbolSeries
from services.analytics.windows import MetricName, Window, per_period, window_figures

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PERFORMANCE: Final[tuple[MetricName, ...]] = (
    "alpha", "annual_return", "annual_volatility", "beta", "calmar_ratio", "hit_rate", "max_drawdown", "profit_factor",
    "sharpe_ratio", "sortino_ratio", "total_return",
)  # fmt: skip
#: Names in the answer for figures that are fractions inside.
_PERCENT: Final = {
    "total_return": "total_return_pct",
    "annual_return": "annual_return_pct",
    "annual_volatility": "volatility_pct",
    "max_drawdown": "max_drawdown_pct",
    "hit_rate": "win_rate_pct",
}
#: Returns from which a volatility counts as reliable: a year of days.
RELIABLE_OBSERVATIONS: Final = 250
METHOD: Final = "time-weighted daily returns, empyrical's definitions"


def iso(ts: int) -> str:
    """UNIX ns as ISO 8601 UTC, microseconds."""
    return (_EPOCH + timedelta(microseconds=ts // 1_000)).isoformat()


def provenance(engine: AnalyticsEngine, ts: int, source: str, method: str, is_synthetic: bool) -> dict[str, Any]:
    """Fields every computed answer carries; ages are in fleet time, which a replay lives in."""
    return {
        "source": source,
        "method": method,
        "as_of": iso(ts),
        "ts_event": ts,
        "age_seconds": max(0, engine.now_ns() - ts) / 1e9,
        "is_synthetic": is_synthetic,
    }


def portfolio_of(engine: AnalyticsEngine, portfolio_id: str) -> PortfolioRecord:
    """A portfolio's record; 404 if nothing was ever heard of it, 409 after a total loss."""
    record = engine.state.portfolios.get(portfolio_id)
    if record is None:
        known = ", ".join(sorted(engine.state.portfolios)) or "none yet"
        raise Problem(404, "not-found", f"portfolio '{portfolio_id}' is not known here", f"known are: {known}")
    if record.series.problem:
        raise Problem(409, "total-loss", record.series.problem, "open another portfolio; its returns start anew")
    return record


def symbol_of(engine: AnalyticsEngine, symbol: str) -> SymbolSeries:
    """An instrument's series; 404 if it never had a usable price."""
    series = engine.state.symbols.get(symbol)
    if series is None or not series.closes:
        raise Problem(
            404, "not-found", f"'{symbol}' has no usable price here", "/analytics/available-symbols lists those that do"
        )
    return series


def need(have: int, least: int, what: str) -> None:
    """409 unless there are ``least`` observations."""
    if have < least:
        detail = f"{what} needs at least {least} daily returns, has {have}"
        remedy = "wait for more valuations, or widen the window"
        raise Problem(409, "insufficient-history", detail, remedy, {"have": have, "need": least})


def performance(
    engine: AnalyticsEngine, name: str, window: Window, asked: PerformanceRequest, is_synthetic: bool, source: str
) -> Performance:
    """Performance over ``window``; 409 under two returns."""
    need(len(window.returns), 2, f"performance of '{name}'")
    periods = engine.settings.periods_per_year
    free = per_period(asked.risk_free_rate, periods)
    values, reasons = window_figures(window, _PERFORMANCE, free, periods)
    shown: dict[str, Any] = {}
    for metric in _PERFORMANCE:
        value = values.get(metric)
        shown[_PERCENT.get(metric, metric)] = value * 100.0 if value is not None and metric in _PERCENT else value
    return Performance(
        id=name,
        **shown,
        benchmark=asked.benchmark or engine.settings.benchmark,
        benchmark_observations=window.benchmark_observations,
        observations=len(window.returns),
        period_start=iso(window.ts_start),
        period_end=iso(window.ts_end),
        risk_free_rate=asked.risk_free_rate,
        risk_free_per_period=free,
        periods_per_year=periods,
        reasons={_PERCENT.get(metric, metric): reason for metric, reason in reasons.items()},
        **provenance(engine, window.ts_end, source, METHOD, is_synthetic),
    )


def calculation(
    engine: AnalyticsEngine, name: str, window: Window, asked: CalculateRequest, is_synthetic: bool
) -> Calculation:
    """The figures asked for over ``window``; 409 under two returns."""
    need(len(window.returns), 2, f"calculation for '{name}'")
    periods = engine.settings.periods_per_year
    free = per_period(asked.risk_free_rate, periods)
    values, reasons = window_figures(window, asked.names, free, periods)
    return Calculation(
        id=name,
        metrics={metric: values.get(metric) for metric in asked.names},
        reasons=reasons,
        observations=len(window.returns),
        benchmark=asked.benchmark or engine.settings.benchmark,
        benchmark_observations=window.benchmark_observations,
        period_start=iso(window.ts_start),
        period_end=iso(window.ts_end),
        risk_free_per_period=free,
        periods_per_year=periods,
        **provenance(engine, window.ts_end, "portfolio snapshots", METHOD, is_synthetic),
    )


def execution(
    engine: AnalyticsEngine, portfolio_id: str, totals: ExecutionTotals, is_synthetic: bool
) -> dict[str, Any]:
    """Execution quality since inception; 409 before the first fill."""
    if not totals.fills:
        raise Problem(
            409, "insufficient-history", f"execution of '{portfolio_id}' needs at least 1 fill, has 0",
            "wait for a fill", {"have": 0, "need": 1},
        )  # fmt: skip
    reasons: dict[str, str] = {}
    slippage = in_basis_points(totals.slippage, totals.reference_notional)
    shortfall = in_basis_points(totals.shortfall, totals.arrival_notional)
    if slippage is None:
        reasons["slippage_bps"] = "no fill has a positive notional"
    if shortfall is None:
        reasons["shortfall_bps"] = "no fill has a known arrival price"
    if not totals.arrivals:
        reasons["mean_latency_ms"] = reasons["slowest_latency_ms"] = "no fill belongs to an order seen here"
    if totals.unmeasured:
        reasons["fills_measured"] = totals.why_incomplete()
    return {
        "id": portfolio_id,
        "fills": totals.fills,
        "fills_measured": totals.fills - sum(totals.unmeasured.values()),
        "bought_notional": str(totals.bought),
        "sold_notional": str(totals.sold),
        "commission": str(totals.commission),
        "slippage_cost": str(totals.slippage),
        "slippage_bps": slippage,
        "shortfall_cost": str(totals.shortfall),
        "shortfall_bps": shortfall,
        "mean_latency_ms": totals.latency_ns / totals.arrivals / 1e6 if totals.arrivals else None,
        "slowest_latency_ms": totals.slowest_ns / 1e6 if totals.arrivals else None,
        "period_start": iso(totals.ts_first),
        "period_end": iso(totals.ts_last),
        "reasons": reasons,
        **provenance(
            engine, totals.ts_last, "fills", "fill price against venue reference and arrival price", is_synthetic
        ),
    }


def forecast(engine: AnalyticsEngine, symbol: str, horizon: int) -> dict[str, Any]:
    """The forecast for the next ``horizon`` days, null with the reason before there are enough returns."""
    series = engine.state.symbols[symbol]
    periods = engine.settings.periods_per_year
    volatility, observations = series.volatility(periods)
    reasons = {"std_error": "an exponentially weighted mean states no sampling error"}
    if volatility is None:
        reasons["volatility"] = reasons["variance"] = (
            f"needs at least {MIN_OBSERVATIONS} daily returns, has {observations}"
        )
    return {
        "symbol": symbol,
        "model": MODEL,
        "horizon_days": horizon,
        "volatility": volatility,
        "variance": None if volatility is None else volatility * volatility * horizon / periods,
        "std_error": None,
        "observations": observations,
        "reliable": observations >= RELIABLE_OBSERVATIONS,
        "reasons": reasons,
        **provenance(engine, series.ts_last, series.source, f"{MODEL} {DECAY}", series.is_synthetic),
    }


def page(items: Sequence[tuple[int, dict[str, Any]]], cursor: str, limit: int) -> Page:
    """The next ``limit`` items after ``cursor``, which is the time of the last one seen."""
    try:
        after = int(cursor) if cursor else -1
    except ValueError:
        raise Problem(422, "invalid-request", f"cursor must be one this path returned, was '{cursor[:50]}'") from None
    rest = [item for item in items if item[0] > after]
    chosen = rest[:limit]
    return Page(
        items=[shown for _, shown in chosen],
        count=len(chosen),
        next_cursor=str(chosen[-1][0]) if len(rest) > limit else None,
    )
