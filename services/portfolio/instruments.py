"""What the ledger takes from an instrument's definition."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from libs.contracts.market import InstrumentDefined
from libs.contracts.orders import OrderFilled
from services.portfolio.amounts import checked_amount
from services.portfolio.state import Instrument, Portfolio


def instrument_of(event: InstrumentDefined, portfolios: Mapping[str, Portfolio]) -> Instrument:
    """The instrument, checked against what was traded in it before.

    Raises:
        ValueError: If its multiplier is no positive number, or differs from the one it was traded with.
    """
    try:
        multiplier = checked_amount("multiplier", Decimal(event.multiplier))
    except InvalidOperation:
        multiplier = Decimal(0)
    if multiplier <= 0:
        raise ValueError(
            f"multiplier of {event.symbol} must be a positive number, was '{event.multiplier}'; correct the source"
        )
    for portfolio_id in sorted(portfolios):
        held = portfolios[portfolio_id].positions.get(event.symbol)
        if held is not None and held.multiplier != multiplier:
            raise ValueError(
                f"multiplier of {event.symbol} must stay {held.multiplier} once it was traded, was {multiplier}; "
                "define the changed contract under a symbol of its own"
            )
    return Instrument(multiplier, event.currency, event.is_synthetic)


def check_currencies(fill: OrderFilled, portfolio: Portfolio | None, instrument: Instrument | None) -> None:
    """Check that a fill is in the one currency of its portfolio and of its instrument.

    Raises:
        ValueError: If it is not, or there is no such portfolio.
    """
    if portfolio is None:
        raise ValueError(
            f"portfolio of fill '{fill.fill_id}' must exist, was '{fill.portfolio_id}'; "
            "create it with POST /portfolios and retry this event"
        )
    if fill.currency != portfolio.base_currency:
        raise ValueError(
            f"currency of fill '{fill.fill_id}' must be {portfolio.base_currency}, the only one portfolio "
            f"'{portfolio.portfolio_id}' holds, was '{fill.currency}'; book it in a portfolio of that currency"
        )
    if instrument is not None and instrument.currency != fill.currency:
        raise ValueError(
            f"currency of fill '{fill.fill_id}' must be {instrument.currency}, that of {fill.symbol}, "
            f"was '{fill.currency}'; correct the venue or the instrument and retry this event"
        )
