"""Settings of the strategy process: the strategies, the gate's limits, the paper venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from libs.contracts.fleet import DEFAULT_PORTFOLIO, PORTS
from libs.engine.settings import EngineSettings, engine_config
from services.strategy.gate import GateLimits
from services.strategy.library import LIBRARY, read_parameters
from services.strategy.paper.terms import PaperTerms

_NS = 1_000_000_000


class StrategyDefinition(BaseModel):
    """One strategy to run: a library strategy, its parameters, and the portfolio it trades for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy_id: str = Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")
    library_id: str
    portfolio_id: str = Field(default=DEFAULT_PORTFOLIO, min_length=1)
    parameters: dict[str, Any] = {}

    @model_validator(mode="after")
    def _fits_library(self) -> StrategyDefinition:
        read_parameters(self.library_id, self.parameters)
        return self


class StrategySettings(EngineSettings):
    """``STRATEGY_*``, and the ``RISK_*`` limits that the pre-trade gate applies.

    Attributes:
        strategies: Started at the first start; JSON in the environment. Later a snapshot wins over this.
        max_notional, max_notional_fraction: Money of one order; the larger of the two holds, so that a limit set for
            the opening capital does not choke an account that grew. 0 as fraction = the absolute limit alone.
        max_quantity: Units of one order. High, because split-adjusted histories quote a share of 1990 in cents.
        stale_seconds: Greatest age of a reference price, in fleet time. The default is five days, because between two
            daily closes lie weekends and holidays; live quotes want 5.
        buying_power_reserve: Share of a buy's money kept free for costs and for a price worse than the reference.
        unknown_seconds: An order not answered for so long, in fleet time, is unknown and stops its symbol.
        paper_slippage_bps, paper_impact_coefficient, paper_participation: See :mod:`services.strategy.paper`.
        paper_commission: per_share (with ``paper_commission_per_share``), basis_points or none.
    """

    model_config = engine_config("STRATEGY_")

    port: int = PORTS["strategy"]
    strategies: tuple[StrategyDefinition, ...] = tuple(
        StrategyDefinition(strategy_id=library_id, library_id=library_id) for library_id in LIBRARY
    )

    max_notional: Decimal = Field(default=Decimal(250_000), gt=0, validation_alias=AliasChoices("RISK_MAX_NOTIONAL"))
    max_notional_fraction: Decimal = Field(default=Decimal("0.25"), ge=0, le=10)
    max_quantity: Decimal = Field(default=Decimal(10_000_000), gt=0, validation_alias=AliasChoices("RISK_MAX_QUANTITY"))
    max_position_notional: Decimal = Field(default=Decimal(400_000), gt=0)
    max_position_fraction: Decimal = Field(default=Decimal("0.40"), ge=0, le=10)
    price_collar: Decimal = Field(
        default=Decimal("0.05"), gt=0, lt=1, validation_alias=AliasChoices("RISK_PRICE_COLLAR")
    )
    stale_seconds: float = Field(default=432_000.0, gt=0, le=1e9, validation_alias=AliasChoices("RISK_STALE_SECONDS"))
    duplicate_window_seconds: float = Field(default=1.0, ge=0, le=86_400)
    buying_power_reserve: Decimal = Field(default=Decimal("0.01"), ge=0, lt=1)
    allow_short: bool = False
    unknown_seconds: float = Field(default=30.0, gt=0, le=86_400)

    paper_slippage_bps: Decimal = Field(default=Decimal(1), ge=0, le=1_000)
    paper_impact_coefficient: float = Field(default=1.0, ge=0, le=10)
    paper_participation: Decimal = Field(default=Decimal("0.10"), gt=0, le=1)
    paper_commission: Literal["per_share", "basis_points", "none"] = "per_share"
    paper_commission_per_share: Decimal = Field(default=Decimal("0.005"), ge=0, le=100)
    paper_commission_bps: Decimal = Field(default=Decimal(1), ge=0, le=1_000)
    paper_commission_minimum: Decimal = Field(default=Decimal("1.00"), ge=0, le=10_000)
    paper_commission_maximum_fraction: Decimal = Field(default=Decimal("0.01"), gt=0, le=1)

    @field_validator("strategies")
    @classmethod
    def _ids_are_unique(cls, strategies: tuple[StrategyDefinition, ...]) -> tuple[StrategyDefinition, ...]:
        ids = sorted(one.strategy_id for one in strategies)
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"must name every strategy_id once, was {', '.join(twice)} twice; rename one")
        return strategies

    def gate_limits(self) -> GateLimits:
        """The limits of the pre-trade gate."""
        return GateLimits(
            max_quantity=self.max_quantity,
            max_notional=self.max_notional,
            max_notional_fraction=self.max_notional_fraction,
            max_position_notional=self.max_position_notional,
            max_position_fraction=self.max_position_fraction,
            price_collar=self.price_collar,
            stale_ns=int(self.stale_seconds * _NS),
            duplicate_window_ns=int(self.duplicate_window_seconds * _NS),
            buying_power_reserve=self.buying_power_reserve,
            allow_short=self.allow_short,
        )

    def paper_terms(self) -> PaperTerms:
        """What the paper venue charges and how it fills."""
        return PaperTerms(
            slippage_bps=self.paper_slippage_bps,
            impact_coefficient=self.paper_impact_coefficient,
            participation=self.paper_participation,
            commission=self.paper_commission,
            commission_per_share=self.paper_commission_per_share,
            commission_bps=self.paper_commission_bps,
            commission_minimum=self.paper_commission_minimum,
            commission_maximum_fraction=self.paper_commission_maximum_fraction,
        )
