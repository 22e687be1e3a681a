"""Request models of the portfolio surface."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from services.portfolio.amounts import checked_amount


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _bounded(value: Decimal) -> Decimal:
    return checked_amount("amount", value)


#: Money: a decimal string, or a number.
Money = Annotated[Decimal, AfterValidator(_bounded)]
PortfolioId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class NewPortfolio(BaseModel):
    """A portfolio to open.

    Attributes:
        portfolio_id: Derived from the name where it is not given: lower case, dashes for everything else.
    """

    model_config = ConfigDict(extra="forbid")

    portfolio_name: str = Field(min_length=1, max_length=200)
    portfolio_id: PortfolioId | None = None
    base_currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    cash_balance: Money = Field(default=Decimal(0), ge=0)


class NewCashFlow(BaseModel):
    """Money that came or went other than by a fill.

    Attributes:
        amount: Positive for deposit, withdrawal and fee; signed for dividend and interest, negative = paid.
        reference: The caller's own name of the flow: sent twice, it is refused the second time.
        currency: The portfolio's where it is not given.
    """

    model_config = ConfigDict(extra="forbid")

    amount: Money
    kind: Annotated[Literal["deposit", "withdrawal", "dividend", "interest", "fee"], BeforeValidator(_lower)]
    reference: str = Field(min_length=1, max_length=200)
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
