"""Settings of the collateral engine: ``COLLATERAL_*``."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from libs.contracts.fleet import PORTS
from libs.engine.settings import EngineSettings, engine_config
from services.collateral.margin import Thresholds


class CollateralSettings(EngineSettings):
    """Read once by the composition root.

    Attributes:
        warning_threshold, critical_threshold, emergency_threshold: Margin utilisations, ascending.
        interval_seconds: Least fleet time between two calculations of a portfolio; 0 = at every step.
        cooldown_seconds: Fleet time in which an alert of one severity is not repeated for a portfolio.
        max_mark_age_seconds: A position whose price is older is charged in full.
        optimize: Whether diversification within a class counts.
    """

    model_config = engine_config("COLLATERAL_")

    port: int = PORTS["collateral"]
    warning_threshold: Decimal = Field(default=Decimal("0.80"), gt=0, le=1)
    critical_threshold: Decimal = Field(default=Decimal("0.90"), gt=0, le=1)
    emergency_threshold: Decimal = Field(default=Decimal("0.95"), gt=0, le=1)
    interval_seconds: int = Field(default=5, ge=0, le=86_400)
    cooldown_seconds: int = Field(default=300, ge=0, le=604_800)
    max_mark_age_seconds: int = Field(default=604_800, ge=1)
    optimize: bool = True

    @field_validator("critical_threshold", "emergency_threshold")
    @classmethod
    def _thresholds_rise(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        name = "warning_threshold" if info.field_name == "critical_threshold" else "critical_threshold"
        lower = info.data.get(name)
        if lower is not None and value <= lower:
            raise ValueError(f"must be above {name} ({lower}), was {value}")
        return value

    @property
    def thresholds(self) -> Thresholds:
        """The three thresholds."""
        return Thresholds(self.warning_threshold, self.critical_threshold, self.emergency_threshold)
