"""Strategy, venue and ledger together: what is decided is executed and booked, the same whoever is served first."""

from __future__ import annotations

from decimal import Decimal
from math import sin

import pytest

from libs.contracts.market import STEP_STAGES, BarClosed, StepClosed
from libs.contracts.orders import OrderFilled, OrderSubmitted
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event
from services.fleet.simulation import Simulation
from services.portfolio.__main__ import components as portfolio_components
from services.strategy.__main__ import components as strategy_components
from services.strategy.settings import StrategyDefinition, StrategySettings
from tests.services.strategy.builders import bar, day, instrument

SYMBOLS = tuple(f"{letter}.X" for letter in "ABCDEF")
MA = StrategyDefinition(
    strategy_id="ma", library_id="moving_average_cross", parameters={"fast": 3, "slow": 8, "weight": 0.05}
)
MOMENTUM = StrategyDefinition(
    strategy_id="mom", library_id="cross_sectional_momentum",
    parameters={"lookback_months": 1, "skip_months": 0, "equity_fraction": 0.5, "quantile": 0.34},
)  # fmt: skip
SETTINGS = StrategySettings(strategies=(MA, MOMENTUM))


def price_bar(number: int, index: int) -> BarClosed:
    """Deterministic waves; the volume is small enough that some orders fill in parts."""
    before, now = (round(60 + 25 * sin(n / (2 + index) + index) + n / 10, 2) for n in (number - 1, number))
    return bar(
        before, max(before, now) + 1, min(before, now) - 1, now, 9_000 + 700 * index, day(number), SYMBOLS[index]
    )


def run(schedule_seed: int | None) -> tuple[Simulation, list[tuple[str, Event]]]:
    """100 days; returns the fleet and every order event and report with its stream."""
    tape: list[tuple[str, Event]] = []

    def observe(stream: str, batch: RecordBatch) -> None:
        if stream.startswith(("orders", "venue", "strategy")):
            tape.extend((stream, event) for event in batch.events)

    members = [*portfolio_components(), *strategy_components(SETTINGS)]
    fleet = Simulation(members, day(0), schedule_seed, observe)
    for symbol in SYMBOLS:
        fleet.post(instrument(symbol))
    for number in range(1, 101):
        for index in range(len(SYMBOLS)):
            fleet.post(price_bar(number, index))
        fleet.drain()
        for stage in STEP_STAGES:
            fleet.post(StepClosed(day(number), stage, number, "test"))
            fleet.drain()
    assert fleet.dead == []
    return fleet, tape


def by_stream(tape: list[tuple[str, Event]]) -> dict[str, list[Event]]:
    streams: dict[str, list[Event]] = {}
    for stream, event in tape:
        streams.setdefault(stream, []).append(event)
    return streams


@pytest.fixture(scope="module")
def straight() -> tuple[Simulation, list[tuple[str, Event]]]:
    return run(None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_order_and_fill_is_the_same_whoever_is_served_first(
    straight: tuple[Simulation, list[tuple[str, Event]]], seed: int
) -> None:
    _, tape = run(seed)
    assert by_stream(tape) == by_stream(straight[1])
    assert sum(isinstance(event, OrderFilled) for _, event in tape) > 50


def test_the_ledger_and_the_strategies_hold_the_same(straight: tuple[Simulation, list[tuple[str, Event]]]) -> None:
    fleet, tape = straight
    book = fleet.engine("strategy").positions  # type: ignore[attr-defined]
    state = fleet.engine("strategy").state  # type: ignore[attr-defined]
    snapshot = state.snapshots["main"]
    held = {position.symbol: position.quantity for position in snapshot.positions}
    assert held == {symbol: book.portfolio_quantity("main", symbol) for symbol in held}
    fills = [event for _, event in tape if isinstance(event, OrderFilled)]
    paid = sum((one.last_quantity * one.last_price * (1 if one.side == "buy" else -1) for one in fills), Decimal(0))
    fees = sum((one.commission for one in fills), Decimal(0))
    assert snapshot.cash == Decimal(1_000_000) - paid - fees
    assert snapshot.cash > 0
    own = state.positions.values()
    assert sum((one.cost - one.realized_pnl for one in own), Decimal(0)) == paid


def test_no_order_is_executed_at_the_step_that_decided_it(straight: tuple[Simulation, list[tuple[str, Event]]]) -> None:
    _, tape = straight
    decided = {event.client_order_id: event.ts_event for _, event in tape if isinstance(event, OrderSubmitted)}
    fills = [event for _, event in tape if isinstance(event, OrderFilled)]
    assert all(fill.ts_event > decided[fill.client_order_id] for fill in fills)
    assert any(fill.leaves_quantity for fill in fills), "some order must have been filled in parts"
