"""Request models of the strategy surface."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from libs.contracts.fleet import DEFAULT_PORTFOLIO
from libs.contracts.orders import OrderType, Side, TimeInForce

#: Whose orders are those that people place without naming a strategy.
MANUAL = "manual"


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Lower = BeforeValidator(_lower)
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")]
Symbol = Annotated[str, Field(min_length=1, max_length=64)]
Positive = Annotated[Decimal, Field(gt=0, le=Decimal(10) ** 15, max_digits=33, decimal_places=18)]
Reason = Annotated[str, Field(max_length=500)]


class NewOrder(BaseModel):
    """An order to place by hand."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    portfolio_id: Identifier = DEFAULT_PORTFOLIO
    strategy_id: Identifier = MANUAL
    symbol: Symbol
    side: Annotated[Side, Lower]
    order_type: Annotated[OrderType, Lower] = Field(default="market", alias="type")
    quantity: Positive
    limit_price: Positive | None = None
    stop_price: Positive | None = None
    time_in_force: Annotated[TimeInForce, Lower] = "day"
    reduce_only: bool = False

    @model_validator(mode="after")
    def _prices_fit_type(self) -> NewOrder:
        for name, price, types in (
            ("limit_price", self.limit_price, ("limit", "stop_limit")),
            ("stop_price", self.stop_price, ("stop", "stop_limit")),
        ):
            if (price is not None) != (self.order_type in types):
                need = "must be given" if self.order_type in types else "must be absent"
                raise ValueError(f"{name} of a {self.order_type} order {need}, was {price}")
        return self


class Change(BaseModel):
    """Why a strategy is started, paused or stopped."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""


class CancelAll(BaseModel):
    """Which working orders to cancel; empty = all of them."""

    model_config = ConfigDict(extra="forbid")

    strategy_id: str = Field(default="", max_length=64)
    symbol: str = Field(default="", max_length=64)
    reason: Reason = ""
