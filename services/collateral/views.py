"""Answers of the HTTP surface, calculated from the engine's state or from what a request holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any, Final

from libs.engine.problems import Problem
from services.collateral.accounts import MarginAccount, collateral_of
from services.collateral.engine import CollateralEngine
from services.collateral.margin import (
    EXACT,
    Margin,
    calculate_margin,
    required_action_amount,
    state_of,
    utilization_of,
)
from services.collateral.positions import ZERO, Holding
from services.collateral.requests import MarginRequest, StressRequest
from services.collateral.scenarios import SCENARIOS, ScenarioName
from services.collateral.stress import StressResult, overall, run_scenario

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose margin is asked for.

    Attributes:
        collateral: Everything that stands against the margin.
        variation_margin: Part of it that real price moves made, None when no position tells.
    """

    portfolio_id: str
    currency: str
    holdings: Sequence[Holding]
    collateral: Decimal
    variation_margin: Decimal | None
    provenance: dict[str, Any]


def account_of(engine: CollateralEngine, portfolio_id: str) -> MarginAccount:
    """A monitored portfolio; 404 if it was never valued."""
    account = engine.state.accounts.get(portfolio_id)
    if account is None:
        known = ", ".join(sorted(engine.state.accounts)) or "none yet"
        raise Problem(404, "not-found", f"portfolio '{portfolio_id}' is not monitored", f"monitored are: {known}")
    return account


def subject_of(engine: CollateralEngine, request: MarginRequest | StressRequest) -> Subject:
    """Resolve a request to positions and what stands against their margin."""
    with localcontext(EXACT):
        if request.portfolio is not None:
            body = request.portfolio
            holdings = [position.holding() for position in body.positions]
            moved = [one.unrealized_pnl for one in holdings if one.unrealized_pnl is not None]
            variation = sum(moved, ZERO) if moved else None
            backing = body.available_cash + request.posted + (variation or ZERO)
            origin = _provenance(engine, engine.now_ns(), "request", False)
            return Subject(body.id, body.currency, holdings, backing, variation, origin)
        account = account_of(engine, request.portfolio_id or "")
        snapshot = account.snapshot
        origin = _provenance(engine, snapshot.ts_event, "portfolio snapshot", snapshot.is_synthetic)
        backing = collateral_of(snapshot) + request.posted
        variation = sum((position.unrealized_pnl for position in snapshot.positions), ZERO)
        holdings = engine.holdings(account)
        return Subject(snapshot.portfolio_id, snapshot.base_currency, holdings, backing, variation, origin)


def margin_answer(engine: CollateralEngine, subject: Subject, request: MarginRequest) -> dict[str, Any]:
    """The whole calculation of one portfolio; reads no state, so it may run beside the event loop."""
    thresholds = engine.settings.thresholds
    margin = calculate_margin(subject.holdings, optimize=request.optimize)
    utilization = utilization_of(margin.total, subject.collateral)
    reasons = {
        "time_to_margin_call_minutes": "needs a volatility of the portfolio, which is not calculated here",
        "regulatory_capital": "not part of the margin model",
    }
    if utilization is None:
        reasons["margin_utilization"] = reasons["margin_utilization_percent"] = "nothing stands against the margin"
    if subject.variation_margin is None:
        reasons["variation_margin"] = "no position states its unrealized_pnl"
    with localcontext(EXACT):
        excess = subject.collateral - margin.total
    return {
        "portfolio_id": subject.portfolio_id,
        "currency": subject.currency,
        "total_margin": money(margin.total),
        "net_initial_margin": money(margin.total),
        "gross_initial_margin": money(margin.initial),
        "maintenance_margin": money(margin.maintenance),
        "variation_margin": money(subject.variation_margin),
        "cross_margin_offset": money(margin.offset),
        "eligible_collateral": money(subject.collateral),
        "margin_excess": money(excess),
        "margin_utilization": None if utilization is None else float(utilization),
        "margin_utilization_percent": None if utilization is None else float(utilization * 100),
        "state": state_of(utilization, thresholds),
        "required_action_amount": money(required_action_amount(margin.total, subject.collateral, thresholds.warning)),
        "time_to_margin_call_minutes": None,
        "regulatory_capital": None,
        "position_margins": _positions(margin),
        "class_margins": _classes(margin),
        "optimization": _optimization(subject, margin, request.optimize),
        "stress_test": _stress(engine, subject, None, request.optimize) if request.include_stress_test else None,
        "calculation_metadata": {"model": "rates by class, offsets besides the largest position", "digits": EXACT.prec},
        "reasons": reasons,
        **subject.provenance,
    }


def stress_answer(engine: CollateralEngine, subject: Subject, request: StressRequest) -> dict[str, Any]:
    """The scenarios asked for, and whether the portfolio survives all of them; reads no state either."""
    tested = _stress(engine, subject, request.scenarios, request.optimize)
    return {"portfolio_id": subject.portfolio_id, "currency": subject.currency, **tested, **subject.provenance}


def status_answer(engine: CollateralEngine, account: MarginAccount) -> dict[str, Any]:
    """Monitoring of one portfolio: its last published margin and alerts."""
    result, alert = account.result, account.last_alert
    if result is None:
        raise Problem(
            409, "insufficient-history", f"portfolio '{account.snapshot.portfolio_id}' has no margin yet",
            "wait for the end of the step", {"have": 0, "need": 1},
        )  # fmt: skip
    unrated = calculate_margin(engine.holdings(account), optimize=engine.settings.optimize).unrated()
    return {
        "portfolio_id": result.portfolio_id,
        "currency": account.snapshot.base_currency,
        "state": result.state,
        "initial_margin": money(result.initial_margin),
        "maintenance_margin": money(result.maintenance_margin),
        "cross_margin_offset": money(result.cross_margin_offset),
        "total_margin": money(result.total_margin),
        "eligible_collateral": money(result.eligible_collateral),
        "margin_excess": money(result.margin_excess),
        "margin_utilization": result.margin_utilization,
        "thresholds": {
            name: float(getattr(engine.settings.thresholds, name)) for name in ("warning", "critical", "emergency")
        },
        "interval_seconds": engine.settings.interval_seconds,
        "cooldown_seconds": engine.settings.cooldown_seconds,
        "calculations": account.calculations,
        "alerts_raised": dict(sorted(account.alerts_raised.items())),
        "last_alert": None
        if alert is None
        else {
            "ts_event": alert.ts_event,
            "severity": alert.severity,
            "action": alert.action,
            "margin_utilization": alert.margin_utilization,
            "threshold": alert.threshold,
            "required_action_amount": money(alert.required_action_amount),
        },
        "last_calculation_age_seconds": max(0, engine.now_ns() - result.ts_event) / 1e9,
        "errors": [{"symbol": one.holding.symbol, "reason": one.reason, "charged": "in full"} for one in unrated],
        "reasons": {} if result.margin_utilization is not None else {
            "margin_utilization": "nothing stands against the margin"
        },
        **_provenance(engine, result.ts_event, "portfolio snapshot", result.is_synthetic),
    }  # fmt: skip


def money(value: Decimal | None) -> str | None:
    """A decimal as text: never in exponent form, without trailing zeros."""
    if value is None:
        return None
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _provenance(engine: CollateralEngine, ts: int, source: str, is_synthetic: bool) -> dict[str, Any]:
    return {
        "source": source,
        "as_of": (_EPOCH + timedelta(microseconds=ts // 1_000)).isoformat(),
        "ts_event": ts,
        "age_seconds": max(0, engine.now_ns() - ts) / 1e9,
        "is_synthetic": is_synthetic,
    }


def _positions(margin: Margin) -> list[dict[str, Any]]:
    return [
        {
            "id": one.holding.position_id,
            "symbol": one.holding.symbol,
            "asset_class": one.holding.asset_class or None,
            "notional": money(one.notional),
            "initial_margin": money(one.initial),
            "maintenance_margin": money(one.maintenance),
            "method": one.method,
            "reason": one.reason or None,
        }
        for one in margin.positions
    ]


def _classes(margin: Margin) -> list[dict[str, Any]]:
    return [
        {
            "asset_class": one.asset_class or None,
            "positions": one.positions,
            "gross_initial_margin": money(one.gross_initial),
            "gross_maintenance_margin": money(one.gross_maintenance),
            "offset_rate": float(one.offset_rate),
        }
        for one in margin.classes
    ]


def _optimization(subject: Subject, margin: Margin, optimize: bool) -> dict[str, Any]:
    plain = margin if not optimize else calculate_margin(subject.holdings, optimize=False)
    with localcontext(EXACT):
        saved = plain.total - margin.total
    return {"enabled": optimize, "plain_margin": money(plain.total), "saved": money(saved)}


def _stress(
    engine: CollateralEngine, subject: Subject, names: Sequence[ScenarioName] | None, optimize: bool
) -> dict[str, Any]:
    chosen = list(SCENARIOS) if names is None else list(dict.fromkeys(names))
    thresholds = engine.settings.thresholds
    results = [
        run_scenario(SCENARIOS[name], subject.holdings, subject.collateral, thresholds, optimize=optimize)
        for name in chosen
    ]
    return {"overall": overall(results), "scenarios": [_scenario(result) for result in results]}


def _scenario(result: StressResult) -> dict[str, Any]:
    return {
        "scenario": result.scenario,
        "assumptions": SCENARIOS[result.scenario].source,
        "outcome": result.outcome,
        "reason": result.reason or None,
        "pnl": money(result.pnl),
        "margin": money(result.margin),
        "eligible_collateral": money(result.collateral),
        "margin_excess": money(result.excess),
        "margin_increase": None if result.increase is None else float(result.increase),
        "state": result.state,
    }
