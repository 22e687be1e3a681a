"""Limits, exposures, value at risk, breaches, halts, margin."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from libs.messagebus.topic import Event

LimitType = Literal[
    "position_size", "portfolio_value", "daily_loss", "concentration", "leverage", "var_limit", "drawdown", "volatility"
]
LimitAction = Literal["alert", "block", "reduce", "halt"]
HaltScope = Literal["all", "portfolio", "strategy", "symbol"]
Severity = Literal["info", "low", "medium", "high", "critical"]


class LimitUpdated(Event, frozen=True, tag="risk.limits.updated.v1"):
    """A limit was created, changed or (``enabled`` false) switched off.

    Attributes:
        limit_value: In the unit of its type: money for sizes and losses, a fraction for the rest.
        threshold_warning: Share of the limit at which a warning is given.
        portfolio_id: Empty = every portfolio, each by itself.
        symbol: Empty = any; only a ``position_size`` may name one.
        threshold_breach: Share of the limit from which on it is breached.
        equity_fraction: Only for limits in money: they are at least this share of equity (for ``daily_loss``, of the
            equity the day began with), so that a limit set for the opening capital does not choke an account that
            grew. 0 = ``limit_value`` alone.
    """

    limit_id: str
    limit_type: LimitType
    limit_value: float
    threshold_warning: float
    action: LimitAction
    enabled: bool
    portfolio_id: str
    symbol: str
    actor: str
    threshold_breach: float = 1.0
    equity_fraction: float = 0.0


class ExposureCalculated(Event, frozen=True, tag="risk.exposure.v1"):
    """Exposures of a portfolio; money in the base currency, ratios as fractions of equity.

    Attributes:
        long, short: Sums of either side, both positive; ``long + short = gross``, ``long - short = net``.
        leverage: Gross over equity; None without positive equity.
        concentration: Largest position over gross; None without positions.
        drawdown: Below the highest equity, deposits and withdrawals taken out; None without a positive peak.
    """

    portfolio_id: str
    equity: float
    gross: float
    net: float
    long: float
    short: float
    leverage: float | None
    largest_position: float
    largest_symbol: str
    concentration: float | None
    drawdown: float | None
    is_synthetic: bool = False


class RiskCalculated(Event, frozen=True, tag="risk.analytics.v1"):
    """Value at risk of today's positions over past returns.

    Attributes:
        values: ``historical_var_95`` and so on, money, positive = loss.
        missing: Name to the reason it has none.
        observations: Days of history used.
        horizon_days: 1.
    """

    portfolio_id: str
    values: dict[str, float]
    missing: dict[str, str]
    observations: int
    horizon_days: int = 1
    is_synthetic: bool = False


class BreachDetected(Event, frozen=True, tag="risk.breach.detected.v1"):
    """A limit opened a breach or its breach changed severity.

    Attributes:
        limit_value: In force at that time, ``equity_fraction`` included.
        value, utilization: None when the limit cannot be measured, which counts as a breach; ``reason`` says why.
        severity: low from the warning threshold, medium from 100 % of the limit (or unmeasurable), high from 120 %,
            critical from 150 %.
        action: What the limit asks for once it is breached; a warning (low) asks for nothing.
    """

    breach_id: str
    limit_id: str
    limit_type: LimitType
    portfolio_id: str
    symbol: str
    value: float | None
    limit_value: float
    utilization: float | None
    severity: Severity
    action: LimitAction
    reason: str = ""


class BreachResolved(Event, frozen=True, tag="risk.breach.resolved.v1"):
    """A breach ended, by itself or by a person."""

    breach_id: str
    limit_id: str
    portfolio_id: str
    actor: str
    action_taken: str


class HaltChanged(Event, frozen=True, tag="system.halt.v1"):
    """Trading is halted or released; sticky until a person lifts it.

    Attributes:
        target: Portfolio, strategy or symbol for those scopes, else empty.
        cancel_orders: Whether working orders are cancelled.
        allow_reducing: Whether orders that only reduce a position still pass.
    """

    halted: bool
    scope: HaltScope
    target: str
    reason: str
    actor: str
    cancel_orders: bool = True
    allow_reducing: bool = False


class SetLimit(Event, frozen=True, tag="risk.set_limit.v1"):
    """Command: create or replace a limit; fields as in :class:`LimitUpdated`."""

    limit_id: str
    limit_type: LimitType
    limit_value: float
    threshold_warning: float
    action: LimitAction
    enabled: bool
    portfolio_id: str
    symbol: str
    actor: str
    threshold_breach: float = 1.0
    equity_fraction: float = 0.0


class DeleteLimit(Event, frozen=True, tag="risk.delete_limit.v1"):
    """Command: remove a limit."""

    limit_id: str
    actor: str


class ResolveBreach(Event, frozen=True, tag="risk.resolve_breach.v1"):
    """Command: close a breach by hand, saying what was done."""

    breach_id: str
    action_taken: str
    actor: str


class HaltTrading(Event, frozen=True, tag="risk.halt_trading.v1"):
    """Command: halt trading in a scope."""

    scope: HaltScope
    target: str
    reason: str
    actor: str
    cancel_orders: bool = True
    allow_reducing: bool = False


class ResumeTrading(Event, frozen=True, tag="risk.resume_trading.v1"):
    """Command: lift a halt."""

    scope: HaltScope
    target: str
    reason: str
    actor: str


class MarginCalculated(Event, frozen=True, tag="margin.status.v1"):
    """Margin of a portfolio; money as Decimal, ``margin_utilization`` None when nothing stands against it.

    Attributes:
        margin_excess: Collateral less total margin; negative = shortfall.
    """

    portfolio_id: str
    initial_margin: Decimal
    maintenance_margin: Decimal
    cross_margin_offset: Decimal
    total_margin: Decimal
    eligible_collateral: Decimal
    margin_excess: Decimal
    margin_utilization: float | None
    state: Literal["ok", "warning", "critical", "emergency"]
    unpriced: list[str] = []
    is_synthetic: bool = False


class MarginAlertRaised(Event, frozen=True, tag="margin.alert.v1"):
    """Utilisation crossed a threshold upward."""

    portfolio_id: str
    severity: Literal["warning", "critical", "emergency"]
    margin_utilization: float | None
    threshold: float
    action: str
    required_action_amount: Decimal
    is_synthetic: bool = False
