"""Marking to market: which price, which day, which peak; and independence of the order of arrival."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from libs.contracts.market import STEP_STAGES, BarClosed, QuoteReceived, StepClosed, TradeReceived
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness, check_snapshot_is_complete
from tests.services.portfolio.builders import DAY, close, fill, flow, harness, instrument, make


def snapshot(engine: EngineHarness, ts: int) -> PortfolioSnapshotTaken:
    (taken,) = engine.close_step(ts)
    assert isinstance(taken, PortfolioSnapshotTaken)
    return taken


def test_every_step_values_every_portfolio_once_even_when_nothing_moved() -> None:
    engine = harness()
    first, second = snapshot(engine, DAY), snapshot(engine, 2 * DAY)
    assert first.equity == first.cash == first.net_flows == first.peak_equity == Decimal(1_000_000)
    assert (first.positions, first.pnl_day, first.gross) == ([], 0, 0)
    assert second.ts_event == 2 * DAY
    assert second.equity == first.equity


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (BarClosed(DAY, "AAA.X", "1d", 1.0, 9.0, 1.0, 7.5, 100.0, "test"), "7.5"),
        (close(7.6), "7.6"),
        (TradeReceived(DAY, "AAA.X", 7.7, 1.0, "buy", "test"), "7.7"),
        (QuoteReceived(DAY, "AAA.X", 7.0, 8.0, 1.0, 1.0, "test"), "7.5"),
        (QuoteReceived(DAY, "AAA.X", 0.0, 8.0, 0.0, 1.0, "test"), "5"),  # one-sided: no price, the fill's stays
        (close(0.1 + 0.2), "0.30000000000000004"),  # what the source sent, digit for digit
        (close(-37.63), "-37.63"),
        (close(0.0), "0"),
    ],
)
def test_what_is_a_price(event: Event, expected: str) -> None:
    engine = harness()
    engine.send(fill("buy", "10", "5", ts=1), event)
    (position,) = snapshot(engine, DAY).positions
    assert position.mark_price == Decimal(expected)
    assert position.market_value == 10 * Decimal(expected)


def test_without_a_newer_price_a_position_is_worth_its_last_fill() -> None:
    engine = harness()
    engine.send(close(4.0, ts=DAY), fill("buy", "10", "5", ts=2 * DAY))
    (position,) = snapshot(engine, 2 * DAY).positions
    assert (position.mark_price, position.mark_ts) == (Decimal(5), 2 * DAY)
    engine.send(close(4.5, ts=3 * DAY))
    (position,) = snapshot(engine, 3 * DAY).positions
    assert (position.mark_price, position.mark_ts, position.unrealized_pnl) == (Decimal("4.5"), 3 * DAY, Decimal(-5))


def test_an_older_price_does_not_replace_a_newer_one() -> None:
    engine = harness()
    engine.send(fill("buy", "1", "5", ts=1), close(6.0, ts=2 * DAY), close(4.0, ts=DAY))
    assert snapshot(engine, 2 * DAY).positions[0].mark_price == 6


def test_the_days_profit_leaves_flows_out_and_begins_at_the_last_valuation_before() -> None:
    engine = harness()
    engine.send(fill("buy", "100", "10", ts=DAY), close(11.0, ts=DAY))
    assert snapshot(engine, DAY).pnl_day == 100
    engine.send(flow("deposit", "5000", "late deposit"))
    noon = 2 * DAY + DAY // 2
    engine.send(close(12.0, ts=noon), flow("withdrawal", "300", "noon"), flow("dividend", "7", "dividend"))
    assert snapshot(engine, noon).pnl_day == 107
    engine.send(close(11.5, ts=noon + 1), flow("fee", "2", "fee"))
    taken = snapshot(engine, noon + 1)
    assert taken.pnl_day == 55
    assert (taken.net_flows, taken.income, taken.fees) == (Decimal(1_004_700), Decimal(7), Decimal(2))
    engine.send(close(11.0, ts=3 * DAY))
    taken = snapshot(engine, 3 * DAY)
    assert taken.pnl_day == -50
    assert taken.peak_equity == Decimal(1_000_000) + 200 + 4700 + 7


def test_a_synthetic_price_marks_what_it_ever_touched() -> None:
    engine = harness("AAA.X", "BBB.X")
    engine.send(fill("buy", "1", "5", "AAA.X", ts=1), fill("buy", "1", "5", "BBB.X", ts=1))
    engine.send(close(5.0, "AAA.X", is_synthetic=True), close(5.0, "BBB.X"))
    taken = snapshot(engine, DAY)
    assert [position.is_synthetic for position in taken.positions] == [True, False]
    assert taken.is_synthetic
    engine.send(close(5.0, "AAA.X", ts=2 * DAY), fill("sell", "1", "5", "AAA.X", ts=2 * DAY))
    assert snapshot(engine, 2 * DAY).is_synthetic, "its realised profit is still made of it"


def test_a_symbol_that_was_closed_before_its_prices_became_synthetic_stays_real() -> None:
    engine = harness()
    engine.send(fill("buy", "1", "5", ts=1), fill("sell", "1", "6", ts=2))
    snapshot(engine, DAY)
    engine.send(close(5.0, ts=2 * DAY, is_synthetic=True))
    assert not snapshot(engine, 2 * DAY).is_synthetic


def test_arrival_order_of_streams_within_a_timestamp_changes_nothing() -> None:
    market = [close(10.5, "AAA.X"), close(20.5, "BBB.X")]
    fills = [
        fill("buy", "7", "10", "AAA.X", ts=DAY, fill_id="1"),
        fill("sell", "3", "20", "BBB.X", ts=DAY, fill_id="2"),
    ]
    flows = [flow("deposit", "100", "one")]
    outcomes = []
    for order in permutations([market, fills, flows]):
        engine = harness("AAA.X", "BBB.X")
        engine.send(*(event for stream in order for event in stream))
        engine.close_step(DAY)
        outcomes.append(sorted(engine.published, key=repr))
    # The cash balance inside CashMoved is that of its place in the order of fills and flows; all else is equal.
    assert all(_without_balance(outcome) == _without_balance(outcomes[0]) for outcome in outcomes)


def _without_balance(events: list[Event]) -> list[Any]:
    return sorted(
        repr({name: getattr(event, name) for name in event.__struct_fields__ if name not in {"balance", "ts_event"}})
        for event in events
    )


def test_a_restored_engine_goes_on_as_if_nothing_had_happened() -> None:
    before = [
        instrument("AAA.X"),
        instrument("FUT.X", "50"),
        fill("buy", "7", "10", "AAA.X", ts=DAY, fill_id="kept"),
        fill("sell", "3", "20", "FUT.X", ts=DAY, commission="1.5"),
        fill("buy", "2", "30", "NEW.X", ts=DAY),
        flow("deposit", "100", "one"),
        close(10.5, "AAA.X"),
        close(21.0, "FUT.X", is_synthetic=True),
        *_steps(DAY),
    ]
    after = [
        fill("buy", "7", "10", "AAA.X", ts=DAY, fill_id="kept"),
        fill("buy", "1", "22", "FUT.X", ts=2 * DAY),
        instrument("NEW.X"),
        close(12.0, "AAA.X", ts=2 * DAY),
        *_steps(2 * DAY),
        flow("withdrawal", "50", "two"),
    ]
    check_snapshot_is_complete(make, before, after)


def _steps(ts: int) -> list[Event]:
    return [StepClosed(ts, stage, 1, "test") for stage in STEP_STAGES]
