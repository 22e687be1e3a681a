"""What an execution costs: slippage, market impact, commission."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from math import log, sqrt

from libs.contracts.orders import Side
from services.strategy.instruments import adverse_price
from services.strategy.paper.matching import MarketView, Match
from services.strategy.paper.terms import PaperTerms

_CENT = Decimal("0.01")
_BASIS_POINT = Decimal("0.0001")

#: 1 / (2 sqrt(ln 2)), Parkinson's constant.
_PARKINSON = 0.600561204393225


def bar_volatility(high: float, low: float) -> float:
    """Volatility of one bar's log price from its range, a fraction.

    M. Parkinson, "The Extreme Value Method for Estimating the Variance of the Rate of Return", Journal of Business 53
    (1980): ``ln(high / low) / (2 sqrt(ln 2))``.
    """
    return _PARKINSON * log(high / low) if high > low > 0 else 0.0


def slippage_fraction(quantity: Decimal, view: MarketView, terms: PaperTerms) -> Decimal:
    """How much worse than the market an aggressive execution of ``quantity`` is, as a fraction of the price.

    A quote's spread is its cost, so nothing is added there. Otherwise the fixed basis points, and where the bar's
    volume is known the square-root law ``Y * volatility * sqrt(quantity / volume)``: R. Almgren et al., "Direct
    Estimation of Equity Market Impact" (2005), with the exponent 1/2 of B. Toth et al., Physical Review X 1 (2011).
    """
    if view.kind == "quote":
        return Decimal(0)
    fraction = terms.slippage_bps * _BASIS_POINT
    if view.volume and view.volatility:
        impact = terms.impact_coefficient * view.volatility * sqrt(float(quantity) / view.volume)
        fraction += Decimal(repr(impact))
    return fraction


def execution_price(
    match: Match, side: Side, quantity: Decimal, view: MarketView, tick_size: Decimal, terms: PaperTerms
) -> Decimal:
    """The price paid or taken: slipped, rounded to the tick against the trader, never beyond the limit."""
    price = match.price
    if match.is_aggressive:
        slip = price * slippage_fraction(quantity, view, terms)
        # A sale cannot take less than nothing: an impact of more than the price means the size was absurd.
        price = price + slip if side == "buy" else max(price - slip, price * _BASIS_POINT)
    price = adverse_price(price, side, tick_size)
    if match.cap is None:
        return price
    return min(price, match.cap) if side == "buy" else max(price, match.cap)


def total_commission(quantity: Decimal, notional: Decimal, terms: PaperTerms) -> Decimal:
    """Commission of a whole order of which ``quantity`` units for ``notional`` are executed, to the cent.

    ``per_share`` is Interactive Brokers' fixed schedule for US stocks: so much a share, at least the minimum and at
    most a share of the trade's value, each per order. ``basis_points`` is a share of the value, at least the minimum. A
    fill is charged the total after it less what was charged before, so an order's fills sum to its commission.
    """
    if terms.commission == "none" or quantity == 0:
        return Decimal(0)
    if terms.commission == "per_share":
        ceiling = notional * terms.commission_maximum_fraction
        total = min(max(quantity * terms.commission_per_share, terms.commission_minimum), ceiling)
    else:
        total = max(notional * terms.commission_bps * _BASIS_POINT, terms.commission_minimum)
    return total.quantize(_CENT, ROUND_HALF_UP)
