"""Execution quality and turnover against hand-computed tables."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.analytics.execution import ExecutionTotals, PendingFill, PendingOrder, in_basis_points, turnover_of
from tests.services.analytics.builders import HOUR, START, filled


def totals(*fills: PendingFill, multiplier: str | None = "1") -> ExecutionTotals:
    result = ExecutionTotals()
    for pending in fills:
        result.add(pending, "USD", None if multiplier is None else Decimal(multiplier))
    return result


def pending(price: str, slippage: str, side: str, reference: str | None, quantity: str = "100") -> PendingFill:
    fill = filled(START + HOUR, "o1", "f1", price, slippage, side, quantity)  # type: ignore[arg-type]
    return PendingFill(fill, None if reference is None else PendingOrder(START, Decimal(reference)))


# side, fill price, slippage a unit, arrival price -> slippage cost, shortfall cost of 100 units
@pytest.mark.parametrize(
    ("side", "price", "slippage", "arrival", "cost", "shortfall"),
    [
        ("buy", "100.10", "0.10", "99.50", "10.00", "60.00"),
        ("sell", "99.90", "0.10", "100.50", "10.00", "60.00"),
        ("buy", "99.00", "-0.20", "99.50", "-20.00", "-50.00"),
        ("sell", "101.00", "-0.20", "100.50", "-20.00", "-50.00"),
    ],
)
def test_cost_is_positive_when_worse(
    side: str, price: str, slippage: str, arrival: str, cost: str, shortfall: str
) -> None:
    result = totals(pending(price, slippage, side, arrival))
    assert result.slippage == Decimal(cost)
    assert result.shortfall == Decimal(shortfall)
    sign = 1 if side == "buy" else -1
    assert result.reference_notional == 100 * (Decimal(price) - sign * Decimal(slippage))
    assert result.arrival_notional == 100 * Decimal(arrival)


def test_basis_points_are_cost_over_reference_notional() -> None:
    result = totals(pending("100.10", "0.10", "buy", None), pending("99.90", "0.10", "sell", None))
    assert in_basis_points(result.slippage, result.reference_notional) == pytest.approx(10.0, abs=1e-12)
    assert in_basis_points(Decimal(1), Decimal(0)) is None


def test_the_multiplier_is_part_of_the_notional() -> None:
    result = totals(pending("10", "0.5", "buy", "9"), multiplier="50")
    assert (result.bought, result.slippage, result.shortfall) == (Decimal(50_000), Decimal(2_500), Decimal(5_000))


def test_latency_is_fleet_time_from_submission() -> None:
    result = totals(pending("10", "0", "buy", "10"), pending("10", "0", "buy", None))
    assert (result.arrivals, result.latency_ns, result.slowest_ns) == (1, HOUR, HOUR)


def test_what_cannot_be_measured_is_counted_and_named() -> None:
    result = ExecutionTotals()
    result.add(PendingFill(filled(START, "o", "f", "10", currency="EUR"), None), "USD", Decimal(1))
    result.add(PendingFill(filled(START, "o", "g", "10"), None), "USD", None)
    assert (result.fills, result.traded) == (2, Decimal(0))
    assert result.why_incomplete() == (
        "1 of 2 fills: fill in EUR, portfolio in USD, no exchange rate; "
        "1 of 2 fills: instrument AAPL.XNAS is not defined"
    )
    assert turnover_of(result, Decimal(100), 10, 252) == result.why_incomplete()


def test_replacing_the_portfolio_once_in_a_year_is_a_turnover_of_two() -> None:
    result = totals(pending("10", "0", "sell", None), pending("10", "0", "buy", None))
    assert turnover_of(result, Decimal(1_000), 252, 252) == 2.0
    assert turnover_of(result, Decimal(1_000), 126, 252) == 4.0


def test_turnover_without_a_day_or_without_money_has_a_reason() -> None:
    assert turnover_of(ExecutionTotals(), None, 0, 252) == "needs at least 1 return, has 0"
    assert turnover_of(ExecutionTotals(), Decimal(-1), 3, 252) == "average equity was -1"
