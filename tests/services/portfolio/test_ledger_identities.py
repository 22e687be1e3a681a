"""Whatever happens, in whatever order: the ledger's identities hold exactly, and an exact model agrees.

The model is written from the definitions in ``fractions.Fraction``: it never rounds, so its cash must equal the
ledger's to the last digit, and its realised profit may differ by the ten-decimal rounding of each partial close only.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.engine.errors import CommandRefused
from libs.testing.engine_harness import EngineHarness
from services.portfolio.amounts import RATIO_STEP
from tests.services.portfolio.builders import DAY, close, fill, flow, instrument, make

MULTIPLIERS = {"AAA.X": "1", "FUT.X": "50", "ODD.X": "0.03"}
SYMBOLS = st.sampled_from(sorted(MULTIPLIERS))
QUANTITIES = st.decimals("0.001", "1000", places=3).map(str)
PRICES = st.decimals("-50", "5000", places=4).map(str)
COMMISSIONS = st.decimals("-2", "20", places=2).map(str)
FILLS = st.tuples(st.just("fill"), st.sampled_from(["buy", "sell"]), SYMBOLS, QUANTITIES, PRICES, COMMISSIONS)
MARKS = st.tuples(
    st.just("mark"), SYMBOLS, st.floats(-1e4, 1e5, allow_nan=False).filter(lambda p: p == 0 or abs(p) > 1e-9)
)
FLOWS = st.tuples(
    st.just("flow"),
    st.sampled_from(["deposit", "withdrawal", "dividend", "interest", "fee"]),
    st.decimals("0.01", "100000", places=2).map(str),
)
STEPS = st.tuples(st.just("step"), st.integers(0, 2))
EVENTS = st.lists(st.one_of(FILLS, FILLS, MARKS, FLOWS, STEPS), min_size=1, max_size=40)


class Model:
    """Average cost in fractions; positions are [quantity, average price, realised]."""

    def __init__(self) -> None:
        self.cash = self.opening = Fraction(1_000_000)
        self.flows = self.income = self.fees = Fraction(0)
        self.positions = {symbol: [Fraction(0), Fraction(0), Fraction(0)] for symbol in MULTIPLIERS}
        self.partial_closes = 0

    def fill(self, side: str, symbol: str, quantity: str, price: str, commission: str) -> None:
        size, at = Fraction(quantity) * (1 if side == "buy" else -1), Fraction(price)
        multiplier = Fraction(MULTIPLIERS[symbol])
        held, average, realized = self.positions[symbol]
        if held * size >= 0:
            average = (held * average + size * at) / (held + size)
        else:
            closed = min(abs(size), abs(held)) * (1 if held > 0 else -1)
            realized += closed * (at - average) * multiplier
            self.partial_closes += abs(size) < abs(held)
            if abs(size) > abs(held):
                average = at
        self.positions[symbol] = [held + size, average, realized]
        self.cash -= size * at * multiplier + Fraction(commission)
        self.fees += Fraction(commission)

    def flow(self, kind: str, amount: str) -> None:
        signed = Fraction(amount) * (-1 if kind in ("withdrawal", "fee") else 1)
        self.cash += signed
        if kind in ("deposit", "withdrawal"):
            self.flows += signed
        elif kind == "fee":
            self.fees -= signed
        else:
            self.income += signed


def check_state(harness: EngineHarness, model: Model) -> None:
    portfolio = harness.engine.state.portfolios["main"]
    positions = portfolio.positions.values()
    realized = sum((Fraction(position.realized_pnl) for position in positions), Fraction(0))
    cost = sum((Fraction(position.cost_basis) for position in positions), Fraction(0))
    fees = Fraction(portfolio.charges) + sum((Fraction(position.fees) for position in positions), Fraction(0))
    assert Fraction(portfolio.cash) == model.cash
    assert (
        Fraction(portfolio.cash) == Fraction(portfolio.net_flows) + Fraction(portfolio.income) + realized - fees - cost
    )
    assert Fraction(portfolio.net_flows) == model.opening + model.flows
    assert fees == model.fees
    for symbol, (quantity, average, expected) in model.positions.items():
        position = portfolio.positions.get(symbol)
        if position is None:
            continue
        assert Fraction(position.quantity) == quantity
        assert abs(Fraction(position.realized_pnl) - expected) <= model.partial_closes * Fraction(RATIO_STEP)
        if quantity:
            # The rounding of partial closes stays in the cost; per unit it weighs as much as the unit is small.
            slack = model.partial_closes * Fraction(RATIO_STEP) / abs(quantity * Fraction(MULTIPLIERS[symbol]))
            assert abs(Fraction(position.average_price) - average) <= slack + Fraction(RATIO_STEP)
        else:
            assert position.cost_basis == position.average_price == 0


def check_snapshot(taken: PortfolioSnapshotTaken, marks: dict[str, float]) -> None:
    values = [Fraction(position.market_value) for position in taken.positions]
    equity = Fraction(taken.equity)
    assert Fraction(taken.cash) + sum(values, Fraction(0)) == equity
    assert equity == (
        Fraction(taken.net_flows)
        + Fraction(taken.income)
        + Fraction(taken.realized_pnl)
        + Fraction(taken.unrealized_pnl)
        - Fraction(taken.fees)
    )
    assert Fraction(taken.gross) == sum((abs(value) for value in values), Fraction(0))
    assert Fraction(taken.net) == sum(values, Fraction(0))
    for position in taken.positions:
        exact = Fraction(position.quantity) * Fraction(position.mark_price) * Fraction(MULTIPLIERS[position.symbol])
        assert Fraction(position.market_value) == exact
        if position.symbol in marks:
            assert position.mark_price == Decimal(repr(marks[position.symbol]))
    assert [position.symbol for position in taken.positions] == sorted(position.symbol for position in taken.positions)


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_identities_hold_exactly_after_every_event(events: list[tuple[Any, ...]]) -> None:
    harness = EngineHarness(make)
    harness.send(*(instrument(symbol, multiplier) for symbol, multiplier in MULTIPLIERS.items()))
    model, now, marks = Model(), DAY, {}
    for number, (what, *details) in enumerate(events):
        if what == "fill":
            side, symbol, quantity, price, commission = details
            harness.send(fill(side, quantity, price, symbol, ts=now, commission=commission))
            model.fill(side, symbol, quantity, price, commission)
        elif what == "mark":
            symbol, price = details
            harness.send(close(price, symbol, ts=now))
            marks[symbol] = price
        elif what == "flow":
            kind, amount = details
            try:
                harness.send(flow(kind, amount, f"R{number}"))
            except CommandRefused:
                assert kind == "withdrawal"
                assert model.cash < Fraction(amount)
            else:
                model.flow(kind, amount)
        else:
            taken = [one for one in harness.close_step(now) if isinstance(one, PortfolioSnapshotTaken)]
            assert len(taken) == 1
            check_snapshot(taken[0], marks)
            now += details[0] * DAY
            if details[0]:
                marks = {}
        check_state(harness, model)
