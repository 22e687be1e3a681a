"""The catalogue of stress scenarios.

Moves of past crises are rounded to whole percent and basis points between the closes named in their source. Of those
closes only the S&P 500 of 2007 to 2009 lies in data shipped with this project and is tested against them; the rest are
as commonly published and unchecked here, which every answer says.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

from services.collateral.positions import ZERO, AssetClass

ScenarioName = Literal[
    "equity_crash", "covid_2020", "gfc_2008", "rate_shock", "fx_shock", "commodity_spike", "crypto_crash"
]


class Scenario(msgspec.Struct, frozen=True):
    """Shocks of one scenario.

    Attributes:
        prices: Relative price move by class; a class that is absent does not move. Bonds move by ``yield_change``,
            derivatives by their Greeks with the equity move as the underlying's.
        yield_change: Parallel, a fraction (.02 = 200 basis points).
        volatility: Relative change of implied volatilities.
        correlation: Share of the offsets that rising correlations take away.
        both_ways: Whether the opposite price moves count too; which way a currency pair is quoted is a convention.
        unobserved: Classes the scenario says nothing about; a portfolio that holds one is not evaluated.
    """

    name: ScenarioName
    source: str
    prices: dict[AssetClass, Decimal] = {}
    yield_change: Decimal = ZERO
    volatility: Decimal = ZERO
    correlation: Decimal = ZERO
    both_ways: bool = False
    unobserved: tuple[AssetClass, ...] = ()


def _scenario(
    name: ScenarioName,
    source: str,
    *,
    yield_change: str = "0",
    volatility: str = "0",
    correlation: str = "0",
    both_ways: bool = False,
    unobserved: tuple[AssetClass, ...] = (),
    **prices: str,
) -> Scenario:
    moves: dict[AssetClass, Decimal] = {key: Decimal(value) for key, value in prices.items()}  # type: ignore[misc]
    shocks = Decimal(yield_change), Decimal(volatility), Decimal(correlation)
    return Scenario(name, source, moves, *shocks, both_ways, unobserved)


SCENARIOS: Final[dict[ScenarioName, Scenario]] = {
    one.name: one
    for one in (
        _scenario(
            "equity_crash", "assumption: equities -30 %, volatility +50 %, correlation +20 %",
            equity="-0.30", volatility="0.50", correlation="0.20",
        ),
        _scenario(
            "covid_2020",
            "19 Feb to 23 Mar 2020: S&P 500 3386 to 2237, 10-year yield 1.56 to .76 %, WTI 53.3 to 23.4, "
            "VIX 14.4 to 61.6, broad dollar +7 %, BTC about -33 %, as commonly published, unchecked; "
            "correlation +20 % is an assumption",
            equity="-0.34", commodity="-0.56", fx="-0.07", crypto="-0.33", yield_change="-0.0080", volatility="3.28",
            correlation="0.20",
        ),
        _scenario(
            "gfc_2008",
            "9 Oct 2007 to 9 Mar 2009: S&P 500 1565 to 677, 10-year yield 4.67 to 2.89 %, WTI 80.3 to 47.1, "
            "EURUSD 1.41 to 1.26, VIX 16.1 to 49.7, as commonly published, unchecked but for the S&P 500; "
            "correlation +20 % is an assumption",
            equity="-0.57", commodity="-0.41", fx="-0.11", yield_change="-0.0178", volatility="2.08",
            correlation="0.20", unobserved=("crypto",),
        ),
        _scenario("rate_shock", "BCBS 368 (2016), unchecked: parallel +200 basis points for USD", yield_change="0.02"),
        _scenario("fx_shock", "MAR21.88 (Basel framework), unchecked: 15 %, either way", fx="-0.15", both_ways=True),
        _scenario("commodity_spike", "WTI, 1 Feb to 8 Mar 2022: 88 to 124, unchecked", commodity="0.40"),
        _scenario("crypto_crash", "BTC, 8 Nov 2021 to 21 Nov 2022: 67,567 to 15,787, unchecked", crypto="-0.77"),
    )
}  # fmt: skip
