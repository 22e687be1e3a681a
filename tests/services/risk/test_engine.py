"""The engine as a whole: order of arrival, restarts, bad input, bounded memory."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from libs.contracts.market import BarClosed, QuoteReceived, TradeReceived
from libs.contracts.risk import ExposureCalculated, HaltTrading, ResolveBreach, RiskCalculated
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness, check_snapshot_is_complete
from services.risk.breaches import MAX_RESOLVED
from tests.services.risk.builders import DAY, close, limit, make, paths, play, snapshot, step

SYMBOLS = ["AAA.X", "BBB.X"]
HOLDINGS = {"AAA.X": 800_000.0, "BBB.X": -500_000.0}


def test_arrival_order_of_streams_within_a_timestamp_changes_nothing() -> None:
    prices = paths(2, 100)
    market: list[Event] = [close(symbol, 100, 100.0 + row) for row, symbol in enumerate(SYMBOLS)]
    valuations: list[Event] = [
        snapshot(100, HOLDINGS, 900_000.0, peak=1e6, pnl_day=-60_000.0),
        snapshot(100, {}, portfolio_id="another"),
    ]
    commands: list[Event] = [limit("concentration", 0.6)]
    outcomes = []
    for symbols_first in (1, -1):
        for order in permutations([market[::symbols_first], valuations[::symbols_first], commands]):
            engine = EngineHarness(make)
            play(engine, SYMBOLS, prices[:, :99])
            engine.send(*(event for stream in order for event in stream))
            outcomes.append(engine.send(*step(100)))
    assert len(outcomes[0]) == 6, "two exposures, two risks, a daily loss, a concentration"
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_nothing_is_published_before_assess() -> None:
    engine = EngineHarness(make)
    mark, assess, decide = step(1)
    assert engine.send(snapshot(1, HOLDINGS), mark) == []
    assert [type(event) for event in engine.send(assess)][:2] == [ExposureCalculated, RiskCalculated]
    assert engine.send(decide) == []
    assert {event.ts_event for event in engine.of_type(RiskCalculated)} == {DAY}


def test_a_stale_valuation_gives_reasons_instead_of_exposures() -> None:
    engine = EngineHarness(make)
    engine.send(snapshot(1, HOLDINGS), *step(1))
    found = engine.send(*step(2))
    assert not any(isinstance(event, ExposureCalculated) for event in found)
    risk = next(event for event in found if isinstance(event, RiskCalculated))
    assert risk.values == {}
    assert "last valuation is 86400 s old" in risk.missing["historical_var_95"]


def test_a_restored_engine_goes_on_as_if_nothing_had_happened() -> None:
    prices = paths(2, 81)
    days = [
        [close(symbol, day + 1, float(prices[row, day])) for row, symbol in enumerate(SYMBOLS)] for day in range(81)
    ]
    before: list[Event] = [event for day in days[:79] for event in day]
    before += [
        limit("leverage", 1.0),
        limit("drawdown", 0.05, "halt", limit_id="D"),
        snapshot(79, HOLDINGS, 900_000.0, peak=1e6),
        *step(79),
        ResolveBreach(0, "breach-1", "seen", "ann"),
        HaltTrading(0, "symbol", "AAA.X", "news", "ann"),
        QuoteReceived(79 * DAY + 9, "CCC.X", 5.0, 6.0, 1.0, 1.0, "test"),
    ]
    after: list[Event] = [
        *days[79],
        snapshot(80, HOLDINGS, 950_000.0),
        *step(80),
        *days[80],
        close("CCC.X", 81, 6.0),
        snapshot(81, HOLDINGS | {"CCC.X": 10_000.0}, 1_100_000.0, net_flows=1_200_000.0),
        *step(81),
        ResolveBreach(0, "breach-2", "seen", "ann"),
    ]
    check_snapshot_is_complete(make, before, after)


@pytest.mark.parametrize(
    "event",
    [
        close("AAA.X", 1, float("nan")),
        BarClosed(DAY, "AAA.X", "1d", 1.0, 1.0, 1.0, float("inf"), 1.0, "test"),
        TradeReceived(DAY, "AAA.X", float("-inf"), 1.0, "buy", "test"),
    ],
)
def test_a_price_that_is_none_becomes_a_dead_letter(event: Any) -> None:
    engine = EngineHarness(make, allow_dead=True)
    engine.send(event)
    assert "price of AAA.X must be finite, was" in engine.dead[0]
    assert engine.engine.prices.days_of("AAA.X") == 0


def test_what_closes_a_day() -> None:
    engine = EngineHarness(make)
    engine.send(
        BarClosed(DAY, "AAA.X", "1m", 1.0, 1.0, 1.0, 9.0, 1.0, "test"),
        TradeReceived(DAY + 1, "AAA.X", 10.0, 1.0, "buy", "test"),
        QuoteReceived(2 * DAY, "AAA.X", 10.0, 12.0, 1.0, 1.0, "test"),
        QuoteReceived(2 * DAY + 1, "AAA.X", 0.0, 12.0, 1.0, 1.0, "test"),
        BarClosed(3 * DAY, "AAA.X", "1d", 1.0, 1.0, 1.0, 22.0, 1.0, "test"),
    )
    assert engine.engine.prices.joint_returns(["AAA.X"], 9).tolist() == [[11.0 / 10.0 - 1.0, 22.0 / 11.0 - 1.0]]


def test_memory_is_bounded() -> None:
    engine = EngineHarness(make)
    engine.send(limit("position_size", 1.0))
    for day in range(1, 2 * (MAX_RESOLVED + 20)):
        engine.send(close("AAA.X", day, 1.0 + day % 7), snapshot(day, {"AAA.X": float(day % 2)}), *step(day)[1:2])
    state = engine.engine.snapshot()
    assert len(state.prices.days) == 252 * 3 // 2
    assert len(state.resolved_breaches) == MAX_RESOLVED
    assert state.resolved_breaches[-1].breach_id == f"breach-{state.breaches_opened - len(state.open_breaches)}"
