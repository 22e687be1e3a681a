"""Margin of single positions against a table computed by hand from the model."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.collateral.positions import Greeks, Holding, PositionMargin, margin_of
from tests.services.collateral.builders import holding


def margins(result: PositionMargin) -> tuple[Decimal, Decimal]:
    return result.initial, result.maintenance


# class, market value, implied volatility, duration -> initial, maintenance
TABLE = [
    ("equity", "100000", None, None, "25000", "15000"),
    ("equity", "-100000", None, None, "25000", "15000"),
    ("equity", "100000", "0.30", None, "25000", "15000"),
    ("equity", "100000", "0.50", None, "32500", "19500"),  # .25 (1 + 1.5 * .2)
    ("equity", "10000000", None, None, "2500000", "1500000"),  # at 10 million, not over it
    ("equity", "10000001", None, None, "2750000.275", "1650000.165"),  # .25 * 1.1
    ("bond", "100000", None, "0", "5000", "3000"),
    ("bond", "100000", None, "7", "12000", "7200"),  # .05 + .07; .03 + .042
    ("bond", "100000", "0.90", "7", "12000", "7200"),  # m = 0
    ("bond", "100000", None, "100", "100000", "63000"),  # 1.05 of it is capped at the notional
    ("fx", "100000", None, None, "2000", "1500"),
    ("fx", "100000", "0.40", None, "2400", "1800"),  # 1 + 2 * .1
    ("commodity", "100000", None, None, "30000", "20000"),
    ("commodity", "100000", "0.50", None, "45000", "30000"),  # 1 + 2.5 * .2
    ("derivative", "100000", "0.90", None, "15000", "10000"),  # m = 0
    ("crypto", "100000", None, None, "50000", "35000"),
    ("crypto", "100000", "0.50", None, "80000", "56000"),  # 1 + 3 * .2
    ("crypto", "100000", "2.00", None, "100000", "100000"),  # 3.05 and 2.135 of it, capped
    ("equity", "0", None, None, "0", "0"),
]


@pytest.mark.parametrize(("name", "worth", "volatility", "duration", "initial", "maintenance"), TABLE)
def test_rates(
    name: str, worth: str, volatility: str | None, duration: str | None, initial: str, maintenance: str
) -> None:
    result = margin_of(holding("p", name, worth, volatility=volatility, duration=duration))
    assert margins(result) == (Decimal(initial), Decimal(maintenance))
    assert (result.method, result.reason) == ("rate", "")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (holding("p", "bond", "1000"), "a bond's rate needs its duration"),
        (holding("p", "", "1000"), "its asset class is not in the margin model"),
    ],
)
def test_what_cannot_be_rated_is_charged_in_full(one: Holding, reason: str) -> None:
    result = margin_of(one)
    assert margins(result) == (Decimal(1000), Decimal(1000))
    assert (result.method, result.reason) == ("full", reason)


def option(quantity: str, delta: str, gamma: str, vega: str, worth: str) -> Holding:
    greeks = Greeks(Decimal(delta), Decimal(gamma), Decimal(vega), Decimal(100), Decimal("0.20"))
    return Holding("o", "o", "derivative", Decimal(quantity), Decimal(worth), greeks=greeks, multiplier=Decimal(100))


# quantity, delta, gamma, vega, value -> initial. Underlying 100, volatility .20, 100 units a contract:
# price moves 15 a unit, volatility by .05.
@pytest.mark.parametrize(
    ("quantity", "delta", "gamma", "vega", "initial"),
    [
        # Linear: 1 * 100 * 1 * 15.
        ("1", "1", "0", "0", "1500"),
        ("-1", "1", "0", "0", "1500"),
        # Long call: down 15 and volatility down: -.5 * 15 + .5 * .02 * 225 - 10 * .05 = -5.75 a unit.
        ("1", "0.5", "0.02", "10", "575"),
        # Short call: up 15 and volatility up: .5 * 15 + .5 * .02 * 225 + 10 * .05 = 10.25 a unit.
        ("-1", "0.5", "0.02", "10", "1025"),
        # Long straddle: only volatility can hurt, 40 * .05 = 2 a unit, with the price unmoved.
        ("1", "0", "0.02", "40", "200"),
        # Capped at the notional: 100 * 100.
        ("-1", "10", "0", "0", "10000"),
    ],
)
def test_a_derivative_with_greeks_needs_its_worst_revaluation(
    quantity: str, delta: str, gamma: str, vega: str, initial: str
) -> None:
    result = margin_of(option(quantity, delta, gamma, vega, quantity))
    assert result.method == "greeks"
    assert result.initial == Decimal(initial)
    assert result.maintenance == Decimal(initial) * Decimal("0.10") / Decimal("0.15")


def test_a_large_derivative_costs_a_tenth_more() -> None:
    # 1,001 contracts of 10,000 notional each.
    assert margin_of(option("1001", "1", "0", "0", "1")).initial == Decimal(1001 * 1500) * Decimal("1.1")
