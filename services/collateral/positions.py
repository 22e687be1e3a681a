"""What is margined: positions, and the margin each needs on its own."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

AssetClass = Literal["equity", "bond", "fx", "commodity", "derivative", "crypto"]
Method = Literal["rate", "greeks", "full"]

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
#: Above this notional a position is hard to close and its rate rises.
LARGE_NOTIONAL: Final = Decimal(10_000_000)
LARGE_FACTOR: Final = Decimal("1.1")
#: Implied volatility up to here is in the rate already.
CALM_VOLATILITY: Final = Decimal("0.30")
#: Shocks under which a derivative with Greeks is revalued: the underlying's price, and its volatility, relative.
PRICE_SHOCK: Final = Decimal("0.15")
VOLATILITY_SHOCK: Final = Decimal("0.25")


class ClassRates(msgspec.Struct, frozen=True):
    """Rates of one asset class, as fractions of the notional.

    Attributes:
        initial, maintenance: Base rates.
        initial_per_year, maintenance_per_year: Added per year of duration.
        volatility_slope: ``m``: the rate grows by the factor ``1 + m max(0, implied volatility - .30)``.
        offset: Margin saved on every position of the class besides the largest.
    """

    initial: Decimal
    maintenance: Decimal
    volatility_slope: Decimal
    offset: Decimal
    initial_per_year: Decimal = ZERO
    maintenance_per_year: Decimal = ZERO


def _rates(
    initial: str, maintenance: str, slope: str, offset: str, per_year: tuple[str, str] = ("0", "0")
) -> ClassRates:
    return ClassRates(
        Decimal(initial),
        Decimal(maintenance),
        Decimal(slope),
        Decimal(offset),
        Decimal(per_year[0]),
        Decimal(per_year[1]),
    )


#: The margin model, by asset class, in the order in which everything is computed.
RATES: Final[dict[AssetClass, ClassRates]] = {
    "equity": _rates("0.25", "0.15", "1.5", "0.20"),
    "bond": _rates("0.05", "0.03", "0", "0.15", ("0.01", "0.006")),
    "fx": _rates("0.02", "0.015", "2", "0.30"),
    "commodity": _rates("0.30", "0.20", "2.5", "0.05"),
    "derivative": _rates("0.15", "0.10", "0", "0.10"),
    "crypto": _rates("0.50", "0.35", "3", "0"),
}


class Greeks(msgspec.Struct, frozen=True):
    """Sensitivities of one unit of a derivative.

    Attributes:
        delta, gamma: To the price of the underlying.
        vega: To its implied volatility, per 1.00 (100 percentage points).
    """

    delta: Decimal
    gamma: Decimal
    vega: Decimal
    underlying_price: Decimal
    implied_volatility: Decimal

    def change(self, price_move: Decimal, volatility_move: Decimal) -> Decimal:
        """Change in value of one unit for relative moves, to second order in the price."""
        step = self.underlying_price * price_move
        return self.delta * step + self.gamma * step * step / 2 + self.vega * self.implied_volatility * volatility_move


class Holding(msgspec.Struct, frozen=True):
    """A position to be margined, in the portfolio's currency.

    Attributes:
        asset_class: Empty when it is not one the model knows.
        quantity: Signed, in units.
        market_value: Signed total of the whole position.
        unrealized_pnl: What real price moves have made of it; None when that is not known.
        problem: Why it cannot be rated; it is then charged in full.
    """

    position_id: str
    symbol: str
    asset_class: AssetClass | Literal[""]
    quantity: Decimal
    market_value: Decimal
    sector: str = ""
    duration: Decimal | None = None
    implied_volatility: Decimal | None = None
    greeks: Greeks | None = None
    multiplier: Decimal = ONE
    unrealized_pnl: Decimal | None = None
    problem: str = ""


class PositionMargin(msgspec.Struct, frozen=True):
    """Margin of one position before offsets.

    Attributes:
        method: ``rate`` of the notional, ``greeks`` = worst revaluation, ``full`` = the whole notional.
        reason: Why it was charged in full, else empty.
    """

    holding: Holding
    notional: Decimal
    initial: Decimal
    maintenance: Decimal
    method: Method
    reason: str = ""


def margin_of(holding: Holding) -> PositionMargin:
    """Margin of a position on its own.

    The initial margin is the notional times the class rate, times ``1 + m max(0, implied volatility - .30)``, times
    1.1 over 10 million of notional, and at most the notional. What cannot be rated (no class, a bond without
    duration) is charged
    in full, the upper bound of the model: a missing input never makes a margin smaller.
    """
    reason = holding.problem or _why_unrated(holding)
    notional = abs(holding.market_value)
    if reason or not holding.asset_class:
        return PositionMargin(holding, notional, notional, notional, "full", reason)
    rates = RATES[holding.asset_class]
    if holding.greeks is not None and holding.asset_class == "derivative":
        return _margin_by_greeks(holding, holding.greeks, rates)
    factor = _volatility_factor(holding.implied_volatility, rates) * _size_factor(notional)
    years = holding.duration or ZERO
    initial = min(notional * (rates.initial + rates.initial_per_year * years) * factor, notional)
    maintenance = min(notional * (rates.maintenance + rates.maintenance_per_year * years) * factor, initial)
    return PositionMargin(holding, notional, initial, maintenance, "rate")


def _margin_by_greeks(holding: Holding, greeks: Greeks, rates: ClassRates) -> PositionMargin:
    units = holding.quantity * holding.multiplier
    notional = abs(units) * greeks.underlying_price
    moves = (-PRICE_SHOCK, ZERO, PRICE_SHOCK)
    shifts = (-VOLATILITY_SHOCK, ZERO, VOLATILITY_SHOCK)
    worst = max(-units * greeks.change(move, shift) for move in moves for shift in shifts)
    # Unshocked is among the nine, so the worst is never a gain.
    initial = min(worst * _size_factor(notional), notional)
    # The table's maintenance rate belongs to its initial rate; a revaluation keeps their proportion.
    return PositionMargin(holding, notional, initial, initial * rates.maintenance / rates.initial, "greeks")


def _why_unrated(holding: Holding) -> str:
    if not holding.asset_class:
        return "its asset class is not in the margin model"
    if holding.asset_class == "bond" and holding.duration is None:
        return "a bond's rate needs its duration"
    return ""


def _volatility_factor(implied_volatility: Decimal | None, rates: ClassRates) -> Decimal:
    if implied_volatility is None or implied_volatility <= CALM_VOLATILITY:
        return ONE
    return ONE + rates.volatility_slope * (implied_volatility - CALM_VOLATILITY)


def _size_factor(notional: Decimal) -> Decimal:
    return LARGE_FACTOR if notional > LARGE_NOTIONAL else ONE
