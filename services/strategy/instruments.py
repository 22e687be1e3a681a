"""Trading rules of an instrument as exact numbers, and rounding to them; used by the gate, the sizing and the venue."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

import msgspec

from libs.contracts.market import InstrumentDefined
from libs.contracts.orders import Side

#: Prices of instruments without a tick are kept to this many decimals, so that the ledger's numbers stay short.
UNTICKED = Decimal("0.00000001")


class TradingRules(msgspec.Struct, frozen=True):
    """What an order in this instrument must respect.

    Attributes:
        tick_size: Smallest price step; 0 = any price.
        lot_size: Smallest quantity step, positive.
        multiplier: Money per price point and unit, positive.
    """

    symbol: str
    asset_class: str
    currency: str
    tick_size: Decimal
    lot_size: Decimal
    multiplier: Decimal
    is_tradable: bool
    is_synthetic: bool

    @classmethod
    def of(cls, event: InstrumentDefined) -> TradingRules:
        """Read the rules of an instrument.

        Raises:
            ValueError: If tick, lot or multiplier is no number that can be.
        """
        return cls(
            event.symbol,
            event.asset_class,
            event.currency,
            _number(event.symbol, "tick_size", event.tick_size, may_be_zero=True),
            _number(event.symbol, "lot_size", event.lot_size),
            _number(event.symbol, "multiplier", event.multiplier),
            event.is_tradable,
            event.is_synthetic,
        )


def _number(symbol: str, name: str, text: str, *, may_be_zero: bool = False) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0 or (value == 0 and not may_be_zero):
        raise ValueError(
            f"{name} of {symbol} must be {'zero or ' if may_be_zero else ''}positive, was {text!r}; "
            "correct the instrument at its source"
        )
    return value


def exact(price: float) -> Decimal:
    """A market price as the decimal number its source wrote: the shortest one that gives the same float."""
    return Decimal(repr(price))


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether ``value`` lies on the grid of ``step``; any value does where ``step`` is 0."""
    return step == 0 or value % step == 0


def whole_lots(quantity: Decimal, lot_size: Decimal) -> Decimal:
    """``quantity`` rounded down (toward zero) to whole lots."""
    return quantity // lot_size * lot_size


def adverse_price(price: Decimal, side: Side, tick_size: Decimal) -> Decimal:
    """``price`` rounded to the tick against the trader: up for a buy, down for a sell.

    A price below one tick is on no grid (split-adjusted history has them) and is kept to eight decimals, as is
    every price of an instrument without a tick.
    """
    step = tick_size if tick_size and price >= tick_size else UNTICKED
    rounding = ROUND_CEILING if side == "buy" else ROUND_FLOOR
    steps = (price / step).to_integral_value(rounding=rounding)
    return steps * step if steps else price
