"""Settings of the risk engine: ``RISK_*``."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from libs.contracts.fleet import PORTS
from libs.contracts.risk import LimitType, LimitUpdated
from libs.engine.settings import EngineSettings, engine_config


class RiskSettings(EngineSettings):
    """What an operator may choose; read once, by the composition root.

    Attributes:
        window_days: Joint daily returns a simulation looks back on.
        minimum_observations: With fewer there is no VaR.
        volatility_days: Returns volatility is taken of.
        valuation_max_age_seconds: An older valuation at a step makes every limit unmeasurable.
        mark_max_age_days: Likewise an older price in it; seven days bridge the longest closures of an exchange.
        daily_loss, daily_loss_fraction: Default limit, money, and the share of the day's opening equity it is at least.
        drawdown: Default limit, fraction of the peak.
        var: Default limit on the 1-day 95 % historical VaR, fraction of equity.
        leverage: Default limit, gross over equity.
    """

    model_config = engine_config("RISK_")
    # The pre-trade gate of strategy reads these under the same prefix.
    read_elsewhere: ClassVar[frozenset[str]] = frozenset(
        {"RISK_MAX_NOTIONAL", "RISK_MAX_QUANTITY", "RISK_PRICE_COLLAR", "RISK_SUBMIT_RATE", "RISK_STALE_SECONDS"}
    )

    port: int = PORTS["risk"]
    window_days: int = Field(default=252, ge=60, le=2_520)
    minimum_observations: int = Field(default=60, ge=20)
    volatility_days: int = Field(default=63, ge=20)
    valuation_max_age_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    mark_max_age_days: float = Field(default=7.0, gt=0, allow_inf_nan=False)
    daily_loss: float = Field(default=50_000.0, gt=0, allow_inf_nan=False)
    daily_loss_fraction: float = Field(default=0.05, ge=0, le=10, allow_inf_nan=False)
    drawdown: float = Field(default=0.25, gt=0, allow_inf_nan=False)
    var: float = Field(default=0.04, gt=0, allow_inf_nan=False)
    leverage: float = Field(default=2.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        needed = max(self.minimum_observations, self.volatility_days)
        if needed > self.window_days:
            raise ValueError(f"RISK_WINDOW_DAYS must be at least {needed}, the days needed, was {self.window_days}")
        return self

    def default_limits(self, ts_event: int) -> list[LimitUpdated]:
        """The limits a fleet begins with: they alert and stop nothing, so that an operator decides what shall."""
        limits: list[tuple[str, LimitType, float, float]] = [
            ("daily-loss", "daily_loss", self.daily_loss, self.daily_loss_fraction),
            ("drawdown", "drawdown", self.drawdown, 0.0),
            ("leverage", "leverage", self.leverage, 0.0),
            ("var", "var_limit", self.var, 0.0),
        ]
        return [
            LimitUpdated(ts_event, f"default-{name}", kind, value, 0.8, "alert", True, "", "", "default", 1.0, fraction)
            for name, kind, value, fraction in limits
        ]
