"""Risk as HTTP shows it: every value with its age, null with a reason where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from libs.contracts.risk import LimitUpdated
from services.risk.engine import RiskEngine
from services.risk.limits import UNITS, Measurement, applies, measure
from services.risk.state import Assessment, Breach

_STATE_RANKS: Final = {"ok": 0, "warning": 1, "unmeasurable": 2, "breached": 3}
_RATIO_REASONS: Final = {
    "leverage": "equity is not positive",
    "concentration": "there are no positions",
    "drawdown": "the highest equity is not positive",
}


def provenance(engine: RiskEngine, portfolio_id: str, found: Assessment) -> dict[str, Any]:
    """Where the figures of a portfolio come from and how old the valuation under them is."""
    valued = engine.state.views[portfolio_id].snapshot.ts_event
    return {
        "source": "risk",
        "as_of": moment(valued),
        "age_seconds": max(0, engine.now_ns - valued) / 1e9,
        "is_stale": bool(found.stale),
        "stale_reason": found.stale or None,
        "is_synthetic": found.exposure.is_synthetic,
    }


def exposure_view(found: Assessment) -> dict[str, Any]:
    """Exposures of a portfolio."""
    exposure = found.exposure
    ratios = {name: getattr(exposure, name) for name in _RATIO_REASONS}
    return {
        "portfolio_id": exposure.portfolio_id,
        "equity": exposure.equity,
        "gross": exposure.gross,
        "net": exposure.net,
        "long": exposure.long,
        "short": exposure.short,
        "largest_position": exposure.largest_position,
        "largest_symbol": exposure.largest_symbol or None,
        **ratios,
        "volatility": found.volatility,
        "pnl_day": found.pnl_day,
        "positions": [{"symbol": symbol, "market_value": value} for symbol, value in found.holdings.items()],
        "reasons": {name: _RATIO_REASONS[name] for name, value in ratios.items() if value is None}
        | ({} if found.volatility is not None else {"volatility": found.volatility_reason}),
    }


def limit_view(limit: LimitUpdated, assessments: dict[str, Assessment]) -> dict[str, Any]:
    """A limit measured on every portfolio it applies to; its own state is the worst of them."""
    measured = {
        portfolio_id: measure(limit, found)
        for portfolio_id, found in sorted(assessments.items())
        if applies(limit, portfolio_id)
    }
    if measured:
        worst = max(measured.values(), key=lambda one: (_STATE_RANKS[one.state], one.utilization or 0.0))
        summary = measurement_view(worst)
    else:
        why = "no portfolio it applies to has been assessed" if limit.enabled else "the limit is switched off"
        summary = measurement_view(Measurement("unmeasurable", limit.limit_value, None, None, None, why))
        if not limit.enabled:
            summary["state"] = None
    return {
        **limit_fields(limit),
        **summary,
        "measurements": [
            {"portfolio_id": portfolio_id, **measurement_view(one)} for portfolio_id, one in measured.items()
        ],
    }


def limit_fields(limit: LimitUpdated) -> dict[str, Any]:
    """A limit as it was set."""
    return {
        "limit_id": limit.limit_id,
        "limit_type": limit.limit_type,
        "limit_value": limit.limit_value,
        "equity_fraction": limit.equity_fraction,
        "unit": UNITS[limit.limit_type],
        "threshold_warning": limit.threshold_warning,
        "threshold_breach": limit.threshold_breach,
        "action": limit.action,
        "enabled": limit.enabled,
        "portfolio_id": limit.portfolio_id or None,
        "symbol": limit.symbol or None,
        "actor": limit.actor,
        "ts_event": limit.ts_event,
    }


def measurement_view(found: Measurement) -> dict[str, Any]:
    """What a limit measured, or why it could not."""
    return {
        "state": found.state,
        "limit_in_force": found.limit_value,
        "current_value": found.value,
        "utilization": found.utilization,
        "severity": found.severity,
        "reasons": {"current_value": found.reason, "utilization": found.reason} if found.reason else {},
    }


def breach_view(breach: Breach) -> dict[str, Any]:
    """A breach, open or resolved."""
    percentage = None if breach.utilization is None else 100.0 * breach.utilization
    return {
        "breach_id": breach.breach_id,
        "breach_time": moment(breach.opened_ts),
        "opened_ts": breach.opened_ts,
        "breach_value": breach.value,
        "breach_percentage": percentage,
        "limit_id": breach.limit_id,
        "limit_type": breach.limit_type,
        "limit_value": breach.limit_value,
        "portfolio_id": breach.portfolio_id,
        "symbol": breach.symbol or None,
        "severity": breach.severity,
        "action": breach.action,
        "resolved": breach.resolved_ts is not None,
        "resolution_time": None if breach.resolved_ts is None else moment(breach.resolved_ts),
        "resolved_by": breach.actor or None,
        "action_taken": breach.action_taken or None,
        "reasons": {"breach_value": breach.reason, "breach_percentage": breach.reason} if breach.reason else {},
    }


def moment(ts_event: int) -> str:
    """UNIX nanoseconds as ISO 8601."""
    return datetime.fromtimestamp(ts_event / 1e9, UTC).isoformat().replace("+00:00", "Z")
