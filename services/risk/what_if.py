"""Questions answered from the state without changing it: VaR at any confidence, limits under other positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from libs.engine.problems import Problem
from libs.finance.value_at_risk import historical_cvar, historical_var, parametric_cvar, parametric_var
from services.risk.assessment import assess
from services.risk.engine import RiskEngine
from services.risk.limits import applies, measure
from services.risk.requests import Check
from services.risk.simulation import (
    Outcomes,
    historical_components,
    missing_reason,
    parametric_components,
    simulate,
    standard_deviation,
)
from services.risk.state import Assessment
from services.risk.views import exposure_view, limit_fields, measurement_view, provenance


def assessment_of(engine: RiskEngine, portfolio_id: str) -> Assessment:
    """The last assessment of a portfolio.

    Raises:
        Problem: 404 when risk knows no such portfolio, 409 when no step has closed since its first valuation.
    """
    found = engine.state.assessments.get(portfolio_id)
    if found is not None:
        return found
    if portfolio_id in engine.state.views:
        raise Problem(
            409,
            "not-assessed",
            f"portfolio must have been assessed, was '{portfolio_id}', valued but not assessed yet",
            "wait for the next step",
        )
    raise Problem(
        404,
        "unknown-portfolio",
        f"portfolio must have been valued, was '{portfolio_id}'",
        "see GET /portfolios of the portfolio engine",
    )


def value_at_risk(engine: RiskEngine, portfolio_id: str, method: str, confidence: float) -> dict[str, Any]:
    """VaR and CVaR of one day by one method, and the components that sum to the VaR.

    Raises:
        Problem: 404 and 409 as :func:`assessment_of`; 409 for too short a history or a stale valuation; 501 for a
            method that is not installed.
    """
    if method == "monte_carlo":
        raise Problem(
            501,
            "capability-unavailable",
            "method must be historical or parametric, was monte_carlo, which is not part of this version",
            "use historical, which assumes no distribution",
        )
    found = assessment_of(engine, portfolio_id)
    if found.stale:
        raise Problem(409, "stale-input", f"valuation must be fresh: {found.stale}", "see the health of portfolio")
    outcomes = simulate(found.holdings, engine.prices, engine.history.window)
    reason = missing_reason(outcomes, engine.prices, engine.history.minimum)
    if reason:
        have_need = {"have": outcomes.observations, "need": engine.history.minimum}
        raise Problem(409, "insufficient-history", reason, "wait for more history", have_need)
    values = _values(outcomes, method, confidence)
    return {
        "portfolio_id": portfolio_id,
        "method": method,
        "confidence": confidence,
        "horizon_days": 1,
        **values,
        "observations": outcomes.observations,
        **provenance(engine, portfolio_id, found),
    }


def _values(outcomes: Outcomes, method: str, confidence: float) -> dict[str, Any]:
    if not outcomes.symbols:
        return {"var": 0.0, "cvar": 0.0, "components": []}
    if method == "historical":
        ordered: list[float] = np.sort(outcomes.total).tolist()
        var, cvar = historical_var(ordered, confidence), historical_cvar(ordered, confidence)
        components = historical_components(outcomes, confidence)
    else:
        deviation = standard_deviation(outcomes.total)
        var, cvar = parametric_var(deviation, confidence), parametric_cvar(deviation, confidence)
        components = parametric_components(outcomes, confidence)
    return {
        "var": var,
        "cvar": cvar,
        "components": [{"symbol": symbol, "var": value} for symbol, value in components.items()],
    }


def check(engine: RiskEngine, portfolio_id: str, request: Check) -> dict[str, Any]:
    """Every limit on a portfolio as it is, or with other positions in place of its own.

    Equity is left as it is: a trade at the mark exchanges cash for position.

    Raises:
        Problem: As :func:`assessment_of`.
    """
    found = assessment_of(engine, portfolio_id)
    if request.positions is not None:
        what_if = {position.symbol: position.market_value for position in request.positions}
        view = engine.state.views[portfolio_id]
        found = assess(view, engine.prices, engine.history, found.exposure.ts_event, found.stale, what_if)
    state = engine.state
    rows = [
        {**limit_fields(limit), **measurement_view(measure(limit, found))}
        for _, limit in sorted(state.limits.items())
        if applies(limit, portfolio_id)
    ]
    breaches = [row for row in rows if row["state"] in ("breached", "unmeasurable")]
    covering = (("all", ""), ("portfolio", portfolio_id))
    halts = [f"{scope} {target}".strip() for scope, target in covering if (scope, target) in state.halts]
    return {
        "portfolio_id": portfolio_id,
        "is_what_if": request.positions is not None,
        "blocked": bool(halts) or any(row["action"] != "alert" for row in breaches),
        "halts": halts,
        "limits": rows,
        "breaches": breaches,
        "exposure": exposure_view(found),
        **provenance(engine, portfolio_id, found),
    }
