"""Fills that come twice, too early or broken; prices that are none; commands that are refused."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from libs.clock import Clock
from libs.contracts.market import QuoteReceived
from libs.contracts.portfolio import CashMoved, CreatePortfolio, PortfolioCreated, PositionUpdated
from libs.contracts.system import EventDeadLettered
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused
from libs.testing.engine_harness import EngineHarness
from services.portfolio.engine import PortfolioEngine
from services.portfolio.settings import PortfolioSettings
from tests.services.portfolio.builders import DAY, close, fill, flow, harness, instrument, make


def tolerant() -> EngineHarness:
    engine = EngineHarness(make, allow_dead=True)
    engine.send(instrument("AAA.X"))
    return engine


def test_the_default_portfolio_opens_with_the_settings_cash() -> None:
    engine = EngineHarness(make)
    created, moved = engine.published
    assert created == PortfolioCreated(0, "main", "Main", "USD", Decimal(1_000_000))
    assert moved == CashMoved(0, "main", Decimal(1_000_000), "USD", "opening", "opening", Decimal(1_000_000))


def test_the_same_fill_id_is_booked_once() -> None:
    engine = harness()
    assert len(engine.send(fill("buy", "5", "10", fill_id="X1"))) == 1
    assert engine.send(fill("buy", "5", "10", fill_id="X1")) == []
    assert engine.engine.state.portfolios["main"].positions["AAA.X"].quantity == 5
    assert engine.engine.status()["fills_repeated"] == 1


def test_a_fill_older_than_the_memory_is_refused_and_never_booked_twice() -> None:
    def forgetful(clock: Clock, outbox: Outbox) -> PortfolioEngine:
        return PortfolioEngine(clock, outbox, PortfolioSettings(fill_memory=100))

    engine = EngineHarness(forgetful, allow_dead=True)
    engine.send(instrument("AAA.X"))
    for number in range(300):
        engine.send(fill("buy", "1", "1", ts=number + 1, fill_id=f"N{number}"))
    assert len(engine.engine.state.fills.ids) <= 125
    for number in range(300):
        engine.send(fill("buy", "1", "1", ts=number + 1, fill_id=f"N{number}"))
    assert engine.engine.state.portfolios["main"].positions["AAA.X"].quantity == 300
    assert "must be newer than the oldest one remembered" in engine.dead[0]


def test_fills_of_one_timestamp_are_never_forgotten_among_each_other() -> None:
    def forgetful(clock: Clock, outbox: Outbox) -> PortfolioEngine:
        return PortfolioEngine(clock, outbox, PortfolioSettings(fill_memory=100))

    engine = EngineHarness(forgetful)
    engine.send(instrument("AAA.X"))
    for _ in range(2):
        engine.send(*(fill("buy", "1", "1", ts=DAY, fill_id=f"N{number}") for number in range(300)))
    assert engine.engine.state.portfolios["main"].positions["AAA.X"].quantity == 300


def test_a_fill_waits_for_its_instrument() -> None:
    engine = harness()
    assert engine.send(fill("buy", "2", "100", "FUT.X", fill_id="early")) == []
    assert engine.send(fill("buy", "2", "100", "FUT.X", fill_id="early")) == []
    assert engine.engine.status()["fills_waiting_for_instrument"] == 1
    (updated,) = engine.send(instrument("FUT.X", "50"))
    assert isinstance(updated, PositionUpdated)
    assert engine.engine.state.portfolios["main"].cash == Decimal(1_000_000 - 2 * 100 * 50)
    assert engine.engine.status()["fills_waiting_for_instrument"] == 0


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (fill("buy", "0", "1"), "last_quantity of fill 'F.*' must be positive, was 0"),
        (fill("buy", "-1", "1"), "must be positive, was -1"),
        (fill("buy", "NaN", "1"), "last_quantity must be a number below 1E\\+15, was NaN"),
        (fill("buy", "1", "Infinity"), "last_price must be a number"),
        (fill("buy", "1", "1E-19"), "last_price must have at most 18 decimals"),
        (fill("buy", "1E+15", "1"), "last_quantity must be a number below 1E\\+15"),
        (fill("buy", "1", "1", commission="sNaN"), "commission must be a number"),
        (fill("buy", "1", "1", currency="EUR"), "currency of fill 'F.*' must be USD.*was 'EUR'"),
        (fill("buy", "1", "1", "EUR.X", currency="USD"), "must be EUR, that of EUR.X, was 'USD'"),
        (fill("buy", "1", "1", portfolio_id="nobody"), "portfolio of fill 'F.*' must exist, was 'nobody'"),
        (close(float("nan")), "price of AAA.X must be 0 or between 1e-12 and 1e15 in size, was nan"),
        (close(float("-inf")), "was -inf"),
        (close(1e-13), "was 1e-13"),
        (
            QuoteReceived(DAY, "AAA.X", 9.0, 8.0, 1.0, 1.0, "test"),
            "bid of AAA.X must not be above its ask 8.0",
        ),
        (QuoteReceived(DAY, "AAA.X", float("nan"), 8.0, 1.0, 1.0, "test"), "was nan"),
        (instrument("AAA.X", "0"), "multiplier of AAA.X must be a positive number, was '0'"),
        (instrument("AAA.X", "many"), "was 'many'"),
    ],
)
def test_what_cannot_be_booked_becomes_a_dead_letter_and_changes_nothing(event: Any, text: str) -> None:
    engine = tolerant()
    engine.send(instrument("EUR.X", currency="EUR"), fill("buy", "1", "1", fill_id="good"), close(2.0))
    before = repr(engine.engine.state)
    assert [type(one) for one in engine.send(event)] == [EventDeadLettered]
    assert re.search(text, engine.dead[-1])
    assert repr(engine.engine.state) == before


def test_a_multiplier_does_not_change_under_a_position() -> None:
    engine = tolerant()
    engine.send(fill("buy", "1", "1"), instrument("AAA.X", "1.0"))
    assert engine.dead == []
    engine.send(instrument("AAA.X", "2"))
    assert "must stay 1 once it was traded, was 2" in engine.dead[0]


def create(
    portfolio_id: str = "second", name: str = "Second", currency: str = "USD", cash: str = "5"
) -> CreatePortfolio:
    return CreatePortfolio(0, portfolio_id, name, currency, Decimal(cash), "tester")


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [
        (flow("deposit", "1", "r", portfolio_id="nobody"), 404, "unknown-portfolio"),
        (flow("deposit", "1", "known"), 409, "duplicate"),
        (flow("withdrawal", "1000001.01", "r"), 409, "overdraft"),
        (flow("withdrawal", "-1", "r"), 422, "invalid"),
        (flow("deposit", "-1", "r"), 422, "invalid"),
        (flow("dividend", "0", "r"), 422, "invalid"),
        (flow("deposit", "NaN", "r"), 422, "invalid"),
        (flow("deposit", "1", " "), 422, "invalid"),
        (flow("deposit", "1", "r", currency="EUR"), 422, "invalid"),
        (create("main"), 409, "duplicate"),
        (create(name="Main"), 409, "duplicate"),
        (create("a/b"), 422, "invalid"),
        (create(name=" "), 422, "invalid"),
        (create(currency="usd"), 422, "invalid"),
        (create(cash="-1"), 422, "invalid"),
        (create(cash="Infinity"), 422, "invalid"),
    ],
)
def test_refusals(command: Any, status: int, code: str) -> None:
    engine = harness()
    engine.send(flow("deposit", "1", "known"))
    before = repr(engine.engine.state)
    with pytest.raises(CommandRefused) as refused:
        engine.send(command)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert refused.value.remedy
    assert repr(engine.engine.state) == before


def test_interest_may_be_paid_and_a_fee_may_overdraw() -> None:
    engine = harness()
    engine.send(create(cash="5"))
    engine.send(flow("interest", "-3", "i", portfolio_id="second"), flow("fee", "4", "f", portfolio_id="second"))
    assert engine.engine.state.portfolios["second"].cash == -2
    assert engine.reply == {"portfolio_id": "second", "amount": "-4", "balance": "-2"}
