"""Slippage, impact, rounding and commission, by hand and against published schedules."""

from __future__ import annotations

from decimal import Decimal
from math import log, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.orders import ExecutionReported, Side
from services.strategy.instruments import adverse_price, exact, is_multiple, whole_lots
from services.strategy.paper.costs import bar_volatility, slippage_fraction, total_commission
from services.strategy.paper.matching import MarketView
from services.strategy.settings import StrategySettings
from tests.services.strategy.builders import FREE, bar, close, day, instrument, paper_harness, quote, submitted

PER_SHARE = StrategySettings(strategies=(), paper_commission="per_share").paper_terms()
BASIS_POINTS = StrategySettings(strategies=(), paper_commission="basis_points", paper_commission_bps=2).paper_terms()


@pytest.mark.parametrize(
    ("shares", "price", "expected"),
    [
        # Interactive Brokers' own examples of the fixed schedule: 100 shares at 25 and 1,000 at 25 and at 0.25 USD.
        ("100", "25", "1.00"), ("1000", "25", "5.00"), ("1000", "0.25", "2.50"),
        ("10", "0.20", "0.02"),  # where the maximum is below the minimum, the maximum is charged
        ("200", "100", "1.00"), ("201", "100", "1.01"),
    ],
)  # fmt: skip
def test_the_fixed_schedule(shares: str, price: str, expected: str) -> None:
    notional = Decimal(shares) * Decimal(price)
    assert total_commission(Decimal(shares), notional, PER_SHARE) == Decimal(expected)


def test_basis_points_of_the_value() -> None:
    assert total_commission(Decimal(100), Decimal(10_000), BASIS_POINTS) == Decimal("2.00")
    assert total_commission(Decimal(1), Decimal(100), BASIS_POINTS) == Decimal("1.00")
    free = StrategySettings(strategies=(), paper_commission="none").paper_terms()
    assert total_commission(Decimal(1), Decimal(100), free) == 0


def test_the_fills_of_an_order_sum_to_its_commission() -> None:
    harness = paper_harness(paper_commission="per_share")
    harness.send(submitted(quantity="300", ts=day(1), tif="gtc"))
    for number in range(2, 6):
        harness.send(bar(100.0, 100.0, 100.0, 100.0, 1_000, day(number)))
    fees = [one.commission for one in harness.of_type(ExecutionReported) if one.report == "filled"]
    # 100 shares: the minimum; 200: still covered by it; 300: 1.50 in all.
    assert fees == [Decimal("1.00"), Decimal("0.00"), Decimal("0.50")]


@given(st.lists(st.tuples(st.integers(1, 500), st.decimals("0.01", "500", places=2)), min_size=1, max_size=6))
def test_no_fill_is_paid_for_executing(parts: list[tuple[int, Decimal]]) -> None:
    charged, quantity, notional = Decimal(0), Decimal(0), Decimal(0)
    for units, price in parts:
        quantity += units
        notional += units * price
        for terms in (PER_SHARE, BASIS_POINTS):
            assert total_commission(quantity, notional, terms) >= 0
        assert total_commission(quantity, notional, PER_SHARE) >= charged
        charged = total_commission(quantity, notional, PER_SHARE)


def test_the_volatility_of_a_bar_is_parkinsons() -> None:
    assert bar_volatility(110.0, 100.0) == pytest.approx(sqrt(log(1.1) ** 2 / (4 * log(2))), rel=1e-12)
    assert bar_volatility(100.0, 100.0) == 0.0


def test_impact_grows_with_the_square_root_of_the_share_taken() -> None:
    terms = StrategySettings(strategies=(), paper_slippage_bps=3, paper_impact_coefficient=0.5).paper_terms()
    view = MarketView("bar", Decimal(100), Decimal(100), Decimal(104), Decimal(100), 10_000.0, 0.02)
    found = float(slippage_fraction(Decimal(400), view, terms))
    assert found == pytest.approx(0.0003 + 0.5 * 0.02 * 0.2, rel=1e-12)
    assert slippage_fraction(Decimal(400), MarketView("close", Decimal(100), Decimal(100)), terms) == Decimal("0.0003")
    assert slippage_fraction(Decimal(400), MarketView("quote", Decimal(101), Decimal(99)), terms) == 0


@pytest.mark.parametrize(
    ("side", "settings", "order", "expected", "reference"),
    [
        ("buy", {"paper_slippage_bps": 1}, {}, "102.02", "102"),  # 102.0102 up to the cent
        ("sell", {"paper_slippage_bps": 1}, {}, "101.98", "102"),  # 101.9898 down to the cent
        ("buy", {"paper_slippage_bps": 50}, {"order_type": "limit", "limit": "102.20"}, "102.20", "102"),
        ("sell", {"paper_slippage_bps": 50}, {"order_type": "limit", "limit": "99"}, "101.49", "102"),
        ("buy", {"paper_slippage_bps": 0}, {"order_type": "stop", "stop": "101"}, "102", "102"),
        ("buy", {"paper_slippage_bps": 10}, {"order_type": "stop", "stop": "101"}, "102.11", "102"),
    ],
)
def test_aggressive_orders_slip_and_never_beyond_their_limit(
    side: Side, settings: dict[str, Any], order: dict[str, Any], expected: str, reference: str
) -> None:
    harness = paper_harness(**settings)
    harness.send(submitted(side, ts=day(1), **order), close(102.0, day(2)))
    filled = harness.of_type(ExecutionReported)[-1]
    assert (filled.last_price, filled.reference_price) == (Decimal(expected), Decimal(reference))


def test_a_resting_order_does_not_slip() -> None:
    harness = paper_harness(paper_slippage_bps=100)
    harness.send(submitted(order_type="limit", limit="99", ts=day(1), tif="gtc"), close(98.0, day(2)))
    filled = harness.of_type(ExecutionReported)[-1]
    assert filled.last_price == filled.reference_price == 99


def test_impact_on_a_bar_by_hand() -> None:
    harness = paper_harness(paper_impact_coefficient=1.0)
    harness.send(submitted(quantity="400", ts=day(1)), bar(100.0, 104.0, 99.0, 101.0, 10_000, day(2)))
    slip = 100 * 0.600561204393225 * log(104 / 99) * sqrt(0.04)
    filled = harness.of_type(ExecutionReported)[-1]
    assert filled.last_price == Decimal("100.60")  # 100.5916 up to the cent
    assert 0.59 < slip < 0.60


def test_a_quotes_cost_is_half_its_spread() -> None:
    harness = paper_harness(paper_slippage_bps=100)
    harness.send(submitted("sell", ts=day(1)), quote(99.0, 101.0, day(2), size=500))
    filled = harness.of_type(ExecutionReported)[-1]
    assert (filled.last_price, filled.reference_price) == (99, 100)


@pytest.mark.parametrize(
    ("price", "side", "tick", "expected"),
    [
        ("100.001", "buy", "0.01", "100.01"), ("100.009", "sell", "0.01", "100.00"),
        ("100.01", "buy", "0.01", "100.01"), ("0.0004", "buy", "0.001", "0.0004"),
        ("0.2640132", "buy", "0.001", "0.265"), ("0.0004", "sell", "0.001", "0.0004"),
        ("1.23456789012", "buy", "0", "1.23456790"), ("1.23456789012", "sell", "0", "1.23456789"),
        ("103.1", "sell", "0.25", "103.00"),
    ],
)  # fmt: skip
def test_prices_are_rounded_against_the_trader(price: str, side: Side, tick: str, expected: str) -> None:
    assert adverse_price(Decimal(price), side, Decimal(tick)) == Decimal(expected)


def test_floats_are_taken_as_they_were_written() -> None:
    assert exact(0.1) == Decimal("0.1")
    assert exact(1e-7) == Decimal("0.0000001")
    assert is_multiple(exact(0.3), Decimal("0.1"))
    assert whole_lots(Decimal("299.9"), Decimal(100)) == 200


def test_the_multiplier_counts_in_the_commission() -> None:
    harness = paper_harness(**(FREE | {"paper_commission": "basis_points", "paper_commission_bps": 1}))
    harness.send(instrument("FUT.X", multiplier="50"), close(100.0, day(1), "FUT.X"))
    harness.send(submitted(quantity="10", ts=day(1), symbol="FUT.X"), close(100.0, day(2), "FUT.X"))
    assert harness.of_type(ExecutionReported)[-1].commission == Decimal("5.00")  # a basis point of 50,000
