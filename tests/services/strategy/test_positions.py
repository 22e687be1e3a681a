"""The position book: hand-computed averages, and the identity that ties it to the cash that moved."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.orders import OrderFilled
from services.strategy.positions import PositionBook
from services.strategy.state import Position

KEY = ("main", "s", "AAA.X")


def fill(side: str, quantity: str, price: str, commission: str = "0") -> OrderFilled:
    zero = Decimal(0)
    return OrderFilled(
        1, "o", "v", "f", "main", "s", "AAA.X", side, Decimal(quantity), Decimal(price), zero, zero,
        Decimal(commission), zero, "USD", "filled",
    )  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("fills", "quantity", "cost", "realized"),
    [
        ([("buy", "10", "5")], "10", "50", "0"),
        ([("buy", "10", "5"), ("buy", "10", "7")], "20", "120", "0"),
        ([("buy", "10", "5"), ("buy", "10", "7"), ("sell", "5", "8")], "15", "90", "10"),  # 5 * (8 - 6)
        ([("buy", "10", "5"), ("sell", "10", "4")], "0", "0", "-10"),
        ([("sell", "10", "5"), ("buy", "4", "4")], "-6", "-30", "4"),
        ([("buy", "10", "10"), ("sell", "15", "12")], "-5", "-60", "20"),  # through zero: the rest opens at 12
        ([("sell", "3", "10"), ("buy", "3", "12"), ("buy", "1", "12")], "1", "12", "-6"),
    ],
)
def test_average_cost(fills: list[tuple[str, str, str]], quantity: str, cost: str, realized: str) -> None:
    positions: dict[tuple[str, str, str], Position] = {}
    book = PositionBook(positions)
    for one in fills:
        book.apply(fill(*one), Decimal(1))
    held = positions[KEY]
    assert (held.quantity, held.cost, held.realized_pnl) == (Decimal(quantity), Decimal(cost), Decimal(realized))


def test_the_multiplier_counts_in_money_and_commission_in_cash() -> None:
    positions: dict[tuple[str, str, str], Position] = {}
    book = PositionBook(positions)
    assert book.apply(fill("buy", "2", "100", "1.50"), Decimal(50)) == Decimal("-10001.50")
    assert book.apply(fill("sell", "2", "101", "1.50"), Decimal(50)) == Decimal("10098.50")
    assert (positions[KEY].realized_pnl, positions[KEY].commission) == (Decimal(100), Decimal("3.00"))


def test_portfolio_and_strategy_are_told_apart() -> None:
    book = PositionBook(
        {
            ("main", "a", "X"): Position("USD", Decimal(5)),
            ("main", "b", "X"): Position("USD", Decimal(-2)),
            ("other", "a", "X"): Position("USD", Decimal(100)),
            ("main", "a", "Y"): Position("USD", Decimal(0)),
        }
    )
    assert book.quantity("main", "a", "X") == 5
    assert book.quantity("main", "c", "X") == 0
    assert book.portfolio_quantity("main", "X") == 3
    assert list(book.held("main", "a")) == [("X", Decimal(5))]


amounts = st.decimals("0.0001", "1000", places=4)


@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), amounts, amounts, st.decimals("0", "5", places=2))))
def test_what_was_earned_and_what_is_held_is_exactly_the_cash_that_moved(
    fills: list[tuple[str, Decimal, Decimal, Decimal]],
) -> None:
    positions: dict[tuple[str, str, str], Position] = {}
    book = PositionBook(positions)
    cash = sum(
        (book.apply(fill(side, str(units), str(price), str(fee)), Decimal(1)) for side, units, price, fee in fills),
        Decimal(0),
    )
    held = positions.get(KEY, Position("USD"))
    assert held.realized_pnl - held.cost - held.commission == cash
    assert held.quantity == held.bought - held.sold
    assert held.quantity != 0 or held.cost == 0
