"""Exact money: the decimal context of the ledger, and what may enter it.

Everything that enters is bounded here, so that no sum or product of the ledger needs more digits than ``EXACT``
carries. The context traps ``Inexact``: a result that had to be rounded would be an error, never a silent cent.
"""

from __future__ import annotations

from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

#: Additions and multiplications of the ledger; enter it with ``decimal.localcontext(EXACT)``.
EXACT = Context(prec=150, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])
#: The divisions: average prices and the cost released by a partial close.
ROUNDED = Context(prec=150, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
#: Where those are rounded to, half to even.
RATIO_STEP = Decimal("1E-10")

ZERO = Decimal(0)
_LARGEST = Decimal(10) ** 15
_MOST_DECIMALS = 18
_LARGEST_PRICE = 1e15
_SMALLEST_PRICE = 1e-12


def checked_amount(name: str, value: Decimal) -> Decimal:
    """``value`` if the ledger can hold it exactly.

    Raises:
        ValueError: If it is not finite, not below 1e15, or has more than 18 decimals.
    """
    if not value.is_finite() or not -_LARGEST < value < _LARGEST:
        raise ValueError(f"{name} must be a number below 1E+15, was {value}; correct it and send it again")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_MOST_DECIMALS:
        raise ValueError(f"{name} must have at most {_MOST_DECIMALS} decimals, was {value}; round it and send it again")
    return value


def checked_price(symbol: str, price: float) -> float:
    """``price`` if it can value a position; zero and negative ones can (a future, April 2020).

    Raises:
        ValueError: If it is NaN, infinite, or of a size no price has.
    """
    if _SMALLEST_PRICE <= price < _LARGEST_PRICE:
        return price
    if price == 0.0 or -_LARGEST_PRICE < price <= -_SMALLEST_PRICE:
        return price
    raise ValueError(
        f"price of {symbol} must be 0 or between 1e-12 and 1e15 in size, was {price!r}; correct the source"
    )


def as_decimal(price: float) -> Decimal:
    """The shortest decimal that is this float: 0.1 becomes 0.1, not 0.1000000000000000055."""
    return Decimal(repr(price))


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """``numerator / denominator`` rounded to ten decimals, half to even."""
    return ROUNDED.quantize(ROUNDED.divide(numerator, denominator), RATIO_STEP)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``amount * part / whole`` rounded to ten decimals, half to even."""
    return ROUNDED.quantize(ROUNDED.divide(ROUNDED.multiply(amount, part), whole), RATIO_STEP)


def text(value: Decimal) -> str:
    """``value`` in plain digits, without an exponent or trailing zeros: how money leaves over HTTP."""
    return format(EXACT.normalize(value) if value else ZERO, "f")
