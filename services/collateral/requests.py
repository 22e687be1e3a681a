"""What the HTTP surface of collateral takes: a portfolio as it is, or one that might be."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.collateral.positions import ZERO, AssetClass, Greeks, Holding
from services.collateral.scenarios import ScenarioName

CollateralKind = Literal[
    "cash_usd", "cash_eur", "treasury_bills", "government_bonds", "corporate_bonds", "equity_securities"
]
#: Share of its market value an asset loses as collateral.
HAIRCUTS: Final[dict[CollateralKind, Decimal]] = {
    "cash_usd": Decimal(0),
    "cash_eur": Decimal("0.02"),
    "treasury_bills": Decimal("0.01"),
    "government_bonds": Decimal("0.04"),
    "corporate_bonds": Decimal("0.08"),
    "equity_securities": Decimal("0.15"),
}
Currency = Literal[
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "JPY", "KRW",
    "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR",
]  # fmt: skip


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


# Bounds keep every product far inside the precision margins are computed in.
Amount = Annotated[Decimal, Field(ge=Decimal("-1e18"), le=Decimal("1e18"), max_digits=36, decimal_places=18)]
Positive = Annotated[Amount, Field(gt=0)]
NotNegative = Annotated[Amount, Field(ge=0)]
Name = Annotated[str, Field(min_length=1, max_length=128)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PositionBody(_Body):
    """A position; ``market_value`` is the signed total in the portfolio's currency.

    Attributes:
        theta, country: Taken and not used: a shock is instant, and no rate depends on the country.
        underlying_price: Needed besides delta, gamma, vega and implied volatility to margin a derivative by its Greeks.
        vega: Per 1.00 of implied volatility.
        unrealized_pnl: What real price moves have made of the position: its signed variation margin.
    """

    id: Name
    symbol: Name
    quantity: Amount
    market_value: Amount
    asset_class: Annotated[AssetClass, BeforeValidator(_lower)]
    currency: Currency | None = None
    sector: str = Field("", max_length=64)
    country: str = Field("", max_length=64)
    duration: Annotated[Amount, Field(ge=0, le=100)] | None = None
    implied_volatility: Annotated[Amount, Field(ge=0, le=100)] | None = None
    delta: Amount | None = None
    gamma: Amount | None = None
    theta: Amount | None = None
    vega: Amount | None = None
    underlying_price: Positive | None = None
    multiplier: Positive = Decimal(1)
    unrealized_pnl: Amount | None = None

    @model_validator(mode="after")
    def _signs_agree(self) -> PositionBody:
        if (self.quantity > 0) != (self.market_value > 0) or (self.quantity < 0) != (self.market_value < 0):
            raise ValueError(
                f"market_value must have the sign of quantity, was {self.market_value} for {self.quantity}"
            )
        return self

    def holding(self) -> Holding:
        """The position as the margin model sees it."""
        greeks = None
        if None not in (self.delta, self.gamma, self.vega, self.underlying_price, self.implied_volatility):
            greeks = Greeks(self.delta, self.gamma, self.vega, self.underlying_price, self.implied_volatility)  # type: ignore[arg-type]
        return Holding(
            self.id,
            self.symbol,
            self.asset_class,
            self.quantity,
            self.market_value,
            self.sector,
            self.duration,
            self.implied_volatility,
            greeks,
            self.multiplier,
            self.unrealized_pnl,
        )


class PortfolioBody(_Body):
    """A portfolio that might be; ``leverage_ratio`` is taken and not used, since the positions say it."""

    id: Name
    name: str = Field("", max_length=256)
    available_cash: Amount
    currency: Currency = "USD"
    leverage_ratio: NotNegative | None = None
    positions: list[PositionBody] = Field(max_length=500)

    @model_validator(mode="after")
    def _positions_fit(self) -> PortfolioBody:
        seen: set[str] = set()
        for position in self.positions:
            if position.id in seen:
                raise ValueError(f"position ids must be unique, was '{position.id}' twice")
            seen.add(position.id)
            if position.currency not in (None, self.currency):
                raise ValueError(
                    f"position '{position.id}' must be in {self.currency}, was {position.currency}; "
                    "there is no exchange rate here, so convert market_value first"
                )
        return self


class CollateralBody(_Body):
    """An asset posted as collateral; ``market_value`` in the portfolio's currency."""

    kind: Annotated[CollateralKind, BeforeValidator(_lower)]
    market_value: NotNegative

    @property
    def value(self) -> Decimal:
        """Worth after its haircut."""
        return self.market_value * (1 - HAIRCUTS[self.kind])


class _Subject(_Body):
    """Whose margin: ``portfolio`` (what if) or ``portfolio_id`` (as it is); ``collateral`` is posted besides."""

    portfolio: PortfolioBody | None = None
    portfolio_id: Name | None = None
    collateral: list[CollateralBody] = Field(default_factory=list, max_length=500)
    optimize: bool = True

    @model_validator(mode="after")
    def _one_subject(self) -> _Subject:
        if (self.portfolio is None) == (self.portfolio_id is None):
            raise ValueError("exactly one of portfolio and portfolio_id must be given")
        return self

    @property
    def posted(self) -> Decimal:
        """Worth of the collateral posted besides, after haircuts."""
        return sum((one.value for one in self.collateral), ZERO)


class MarginRequest(_Subject):
    """A margin calculation."""

    include_stress_test: bool = False


class StressRequest(_Subject):
    """A stress test; null = every scenario."""

    scenarios: list[Annotated[ScenarioName, BeforeValidator(_lower)]] | None = Field(None, min_length=1)
