"""From money to whole lots."""

from __future__ import annotations

from decimal import Decimal

from services.strategy.instruments import TradingRules, exact, whole_lots


def lots_for(notional: Decimal, price: float, rules: TradingRules) -> Decimal:
    """The whole lots that ``notional`` buys at ``price``, rounded down; 0 where it buys none.

    Args:
        notional: Money in the instrument's currency.
        price: Positive.
        rules: Lot size and multiplier of the instrument.
    """
    if notional <= 0:
        return Decimal(0)
    return whole_lots(notional / (exact(price) * rules.multiplier), rules.lot_size)
