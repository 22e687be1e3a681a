"""Request models of the risk surface."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from libs.contracts.risk import HaltScope, LimitAction, LimitType


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Method = Annotated[Literal["historical", "parametric", "monte_carlo"], BeforeValidator(_lower)]
Scope = Annotated[HaltScope, BeforeValidator(_lower)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
#: Symbols a request may hold.
MAX_POSITIONS = 500


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LimitValues(_Request):
    """A limit without its id.

    Attributes:
        limit_value: Money for position_size, portfolio_value and daily_loss; a fraction for the rest.
        equity_fraction: Only for those in money: the limit is at least this share of equity.
        portfolio_id: Every portfolio, each by itself, where it is not given.
        symbol: Only for position_size.
    """

    limit_type: Annotated[LimitType, BeforeValidator(_lower)]
    limit_value: Finite = Field(gt=0)
    threshold_warning: Finite = Field(default=0.8, gt=0, le=1)
    threshold_breach: Finite = Field(default=1.0, gt=0, le=1)
    equity_fraction: Finite = Field(default=0.0, ge=0, le=10)
    enabled: bool = True
    portfolio_id: Id | None = None
    symbol: str | None = Field(default=None, min_length=1, max_length=64)
    action: Annotated[LimitAction, BeforeValidator(_lower)] = "block"

    @model_validator(mode="after")
    def _warning_before_breach(self) -> Self:
        if self.threshold_warning >= self.threshold_breach:
            raise ValueError(
                f"threshold_warning must be below threshold_breach ({self.threshold_breach!r}), "
                f"was {self.threshold_warning!r}; both are shares of limit_value"
            )
        return self


class NewLimit(LimitValues):
    """A limit to create."""

    limit_id: Id


class Resolution(_Request):
    """What was done about a breach."""

    action_taken: str = Field(min_length=1, max_length=1_000)


class WhatIfPosition(_Request):
    """A position as it would be; ``market_value`` is signed, in the base currency."""

    symbol: str = Field(min_length=1, max_length=64)
    market_value: Finite


class Check(_Request):
    """A what-if: the portfolio's positions replaced by these; as it is where they are not given."""

    positions: list[WhatIfPosition] | None = Field(default=None, max_length=MAX_POSITIONS)

    @model_validator(mode="after")
    def _symbols_once(self) -> Self:
        symbols = [position.symbol for position in self.positions or ()]
        twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
        if twice:
            raise ValueError(f"symbols of positions must be unique, was {twice[0]} more than once; add them up")
        return self


class Halt(_Request):
    """A halt to put in force."""

    reason: str = Field(min_length=1, max_length=1_000)
    scope: Scope = "all"
    target: str = Field(default="", max_length=64)
    cancel_orders: bool = True
    allow_reducing: bool = False


class Resume(_Request):
    """A halt to lift; ``confirm`` must be true."""

    reason: str = Field(min_length=1, max_length=1_000)
    scope: Scope = "all"
    target: str = Field(default="", max_length=64)
    confirm: bool = False
