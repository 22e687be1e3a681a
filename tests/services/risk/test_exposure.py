"""Exposures against a table computed by hand, and drawdown across flows."""

from __future__ import annotations

import pytest

from libs.contracts.risk import ExposureCalculated
from libs.testing.engine_harness import EngineHarness
from services.risk.exposure import exposure_of
from tests.services.risk.builders import DAY, make, snapshot, step

# holdings, equity -> gross, net, long, short, leverage, largest, its symbol, concentration
TABLE = [
    ({"A": 600.0, "B": -200.0}, 1000.0, (800.0, 400.0, 600.0, 200.0, 0.8, 600.0, "A", 0.75)),
    ({"A": -300.0, "B": 300.0}, 200.0, (600.0, 0.0, 300.0, 300.0, 3.0, 300.0, "A", 0.5)),
    ({"A": 100.0}, 0.0, (100.0, 100.0, 100.0, 0.0, None, 100.0, "A", 1.0)),
    ({"A": 100.0}, -50.0, (100.0, 100.0, 100.0, 0.0, None, 100.0, "A", 1.0)),
    ({}, 1000.0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "", None)),
]


@pytest.mark.parametrize(("holdings", "equity", "expected"), TABLE)
def test_by_hand(holdings: dict[str, float], equity: float, expected: tuple[object, ...]) -> None:
    found = exposure_of(DAY, "main", holdings, equity, 0.0, is_synthetic=False)
    assert (
        found.gross, found.net, found.long, found.short, found.leverage, found.largest_position, found.largest_symbol,
        found.concentration,
    ) == expected  # fmt: skip


def drawdowns(engine: EngineHarness) -> list[float | None]:
    return [found.drawdown for found in engine.of_type(ExposureCalculated)]


def test_drawdown_is_measured_from_the_peak() -> None:
    engine = EngineHarness(make)
    for day, equity in enumerate([100.0, 120.0, 90.0, 150.0, 75.0], start=1):
        engine.send(snapshot(day, {}, equity, net_flows=100.0), *step(day))
    assert drawdowns(engine) == [0.0, 0.0, 0.25, 0.0, 0.5]


def test_flows_are_neither_loss_nor_recovery() -> None:
    engine = EngineHarness(make)
    for day, equity, flows in [(1, 100.0, 100.0), (2, 80.0, 100.0), (3, 40.0, 60.0), (4, 140.0, 160.0), (5, 0.0, 20.0)]:
        engine.send(snapshot(day, {}, equity, net_flows=flows, peak=100.0), *step(day))
    assert drawdowns(engine) == [0.0, pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.2), pytest.approx(1.0)]


def test_a_portfolio_that_never_had_money_has_no_drawdown() -> None:
    engine = EngineHarness(make)
    engine.send(snapshot(1, {}, 0.0, net_flows=0.0), *step(1))
    assert drawdowns(engine) == [None]
