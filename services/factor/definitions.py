"""The catalogue of factors: what each is, from what, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

#: Trading days a year by which daily volatility is annualised.
DAYS_PER_YEAR = 252
#: Trading days of a month and of a year, as the momentum literature counts them on daily data.
MONTH, QUARTER, YEAR = 21, 63, 252
#: Closes kept: the longest lookback is a year of returns.
WINDOW = YEAR + 1

MOMENTUM = "momentum_12_1"
REVERSAL = "reversal_21"
VOLATILITY_QUARTER = "volatility_63"
VOLATILITY_YEAR = "volatility_252"


@dataclass(frozen=True, slots=True)
class FactorDefinition:
    """One factor.

    Attributes:
        lookback_period: Daily closes needed, the newest included.
        source: Where the formula comes from, and where it departs from it.
    """

    factor_id: str
    factor_name: str
    family: str
    formula: str
    lookback_period: int
    source: str
    category: str = "cross_sectional"
    update_frequency: str = "daily"
    inputs: tuple[str, ...] = ("close",)
    data_sources: tuple[str, ...] = ("marketdata.bar", "marketdata.close")


DEFINITIONS: tuple[FactorDefinition, ...] = (
    FactorDefinition(
        MOMENTUM, "Momentum, twelve months without the newest", "style",
        "close[t-21] / close[t-252] - 1", YEAR + 1,
        "N. Jegadeesh and S. Titman, Returns to Buying Winners and Selling Losers, Journal of Finance 48, 1993; with "
        "the skipped month that became customary (E. Fama and K. French, Journal of Finance 51, 1996)",
    ),
    FactorDefinition(
        REVERSAL, "Short-term reversal, one month", "style",
        "-(close[t] / close[t-21] - 1): positive after a fall", MONTH + 1,
        "N. Jegadeesh, Evidence of Predictable Behavior of Security Returns, Journal of Finance 45, 1990; its sign "
        "turned so that a higher value means a higher expected return",
    ),
    FactorDefinition(
        VOLATILITY_QUARTER, "Total volatility, one quarter", "volatility",
        "sample deviation (n - 1) of 63 daily log returns x sqrt(252)", QUARTER + 1,
        "A. Ang, R. Hodrick, Y. Xing and X. Zhang, The Cross-Section of Volatility and Expected Returns, Journal of "
        "Finance 61, 2006; total volatility, not the residual of a factor model",
    ),
    FactorDefinition(
        VOLATILITY_YEAR, "Total volatility, one year", "volatility",
        "sample deviation (n - 1) of 252 daily log returns x sqrt(252)", YEAR + 1,
        "as volatility_63, over a year",
    ),
)  # fmt: skip

FACTOR_IDS: tuple[str, ...] = tuple(definition.factor_id for definition in DEFINITIONS)
LOOKBACKS: dict[str, int] = {definition.factor_id: definition.lookback_period for definition in DEFINITIONS}
CATEGORIES: tuple[str, ...] = tuple(sorted({definition.category for definition in DEFINITIONS}))
