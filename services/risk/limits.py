"""Limits: what each type measures, how much of it is used, and how serious that is."""

from __future__ import annotations

import re
from math import isfinite
from typing import Final, Literal, NamedTuple

from libs.contracts.risk import LimitType, LimitUpdated, SetLimit, Severity
from libs.engine.errors import CommandRefused
from services.risk.state import Assessment

LimitState = Literal["ok", "warning", "breached", "unmeasurable"]

#: What a limit's value is a number of.
UNITS: Final[dict[LimitType, str]] = {
    "position_size": "money",
    "portfolio_value": "money",
    "daily_loss": "money",
    "concentration": "fraction of gross",
    "leverage": "multiple of equity",
    "var_limit": "fraction of equity",
    "drawdown": "fraction of the peak",
    "volatility": "annualised fraction of equity",
}
RANKS: Final[dict[Severity, int]] = {"info": 0, "low": 1, "medium": 2, "high": 3, "critical": 4}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Measurement(NamedTuple):
    """A limit measured on a portfolio; ``value`` and ``utilization`` are None where ``reason`` says why.

    Attributes:
        limit_value: In force, the share of equity included.
        severity: None when all is well.
    """

    state: LimitState
    limit_value: float
    value: float | None
    utilization: float | None
    severity: Severity | None
    reason: str = ""


def measure(limit: LimitUpdated, assessment: Assessment) -> Measurement:
    """Measure ``limit`` on a portfolio.

    What cannot be measured counts as a breach of medium severity: it alarms, and blocks where the limit blocks.
    """
    in_force = _limit_in_force(limit, assessment)
    value, reason = _value_of(limit, assessment)
    if value is None:
        return Measurement("unmeasurable", in_force, None, None, "medium", reason)
    used = value / in_force
    if used >= limit.threshold_breach:
        return Measurement("breached", in_force, value, used, _severity(used))
    if used >= limit.threshold_warning:
        return Measurement("warning", in_force, value, used, "low")
    return Measurement("ok", in_force, value, used, None)


def _limit_in_force(limit: LimitUpdated, assessment: Assessment) -> float:
    equity = assessment.exposure.equity
    if limit.limit_type == "daily_loss":
        equity -= assessment.pnl_day
    return max(limit.limit_value, limit.equity_fraction * equity)


def _severity(utilization: float) -> Severity:
    """Of a breached limit: high from 120 % of it, critical from 150 %."""
    if utilization >= 1.5:
        return "critical"
    return "high" if utilization >= 1.2 else "medium"


def _value_of(limit: LimitUpdated, assessment: Assessment) -> tuple[float | None, str]:
    """The measured value, or None with the reason."""
    if assessment.stale:
        return None, assessment.stale
    exposure = assessment.exposure
    no_equity = f"equity must be positive to measure against, was {exposure.equity!r}"
    match limit.limit_type:
        case "position_size":
            held = assessment.holdings.get(limit.symbol, 0.0) if limit.symbol else exposure.largest_position
            return abs(held), ""
        case "portfolio_value":
            return exposure.gross, ""
        case "daily_loss":
            return max(0.0, -assessment.pnl_day), ""
        case "concentration":
            return exposure.concentration or 0.0, ""  # no positions, nothing concentrated
        case "leverage":
            return (0.0, "") if exposure.gross == 0.0 else (exposure.leverage, no_equity)
        case "var_limit":
            loss = assessment.risk.values.get("historical_var_95")
            if loss is None:
                return None, assessment.risk.missing["historical_var_95"]
            if loss <= 0.0:
                return 0.0, ""
            return (loss / exposure.equity, "") if exposure.equity > 0.0 else (None, no_equity)
        case "drawdown":
            return exposure.drawdown, "the highest equity must be positive to measure against"
        case "volatility":
            return assessment.volatility, assessment.volatility_reason


def applies(limit: LimitUpdated, portfolio_id: str) -> bool:
    """Whether ``limit`` is measured on this portfolio."""
    return limit.enabled and limit.portfolio_id in ("", portfolio_id)


def check_limit(command: SetLimit) -> None:
    """Check that a limit can be set.

    Raises:
        CommandRefused: 422 for values that cannot be.
    """
    if not _ID.fullmatch(command.limit_id):
        _refuse(
            f"limit_id must be 1 to 64 letters, digits, '_', '.' or '-', was '{command.limit_id}'",
            "choose an id that can stand in a path",
        )
    if not (isfinite(command.limit_value) and command.limit_value > 0.0):
        _refuse(
            f"limit_value of '{command.limit_id}' must be positive and finite, was {command.limit_value!r}",
            "to forbid something altogether, halt it; to lift the limit, delete it",
        )
    if not 0.0 < command.threshold_warning < command.threshold_breach <= 1.0:
        _refuse(
            f"thresholds of '{command.limit_id}' must satisfy 0 < warning < breach <= 1, "
            f"was {command.threshold_warning!r} and {command.threshold_breach!r}",
            "both are shares of limit_value, e.g. .8 and 1",
        )
    in_money = UNITS[command.limit_type] == "money"
    if not 0.0 <= command.equity_fraction <= 10.0 or (command.equity_fraction and not in_money):
        _refuse(
            f"equity_fraction of '{command.limit_id}' ({command.limit_type}) must be 0 to 10, and 0 unless that is in "
            f"money, was {command.equity_fraction!r}",
            "only position_size, portfolio_value and daily_loss are money; leave it out for the others",
        )
    if command.symbol and command.limit_type != "position_size":
        _refuse(
            f"symbol of '{command.limit_id}' must be empty for {command.limit_type}, was '{command.symbol}'",
            "only position_size is measured by symbol",
        )


def _refuse(detail: str, remedy: str) -> None:
    raise CommandRefused(422, "invalid", detail, remedy)
