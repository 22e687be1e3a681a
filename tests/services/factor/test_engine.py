"""The factor engine through its harness: universe, stages, restarts, bad prices."""

from __future__ import annotations

import random

from prometheus_client import CollectorRegistry, generate_latest

from libs.contracts.analysis import FactorPanelCalculated, FactorsCalculated
from libs.contracts.market import BarClosed, StepClosed
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness, check_snapshot_is_complete
from services.factor.metrics import register_metrics
from services.factor.settings import FactorSettings
from tests.services.factor.market import DAY_NS, SYMBOLS, close, instrument, make, prices

PRICES = prices(330)
DEFINED: list[Event] = [instrument(symbol) for symbol in SYMBOLS]


def day_of(day: int, symbols: tuple[str, ...] = SYMBOLS) -> list[Event]:
    return [close(day, symbol, float(PRICES[day, SYMBOLS.index(symbol)])) for symbol in symbols]


def run(harness: EngineHarness, days: range) -> list[Event]:
    published: list[Event] = []
    for day in days:
        harness.send(*day_of(day))
        published = harness.close_step((day + 1) * DAY_NS)
    return published


def test_nothing_is_published_before_the_mark_and_nothing_after_it() -> None:
    harness = EngineHarness(make)
    assert harness.send(*DEFINED, *day_of(0)) == []
    assert len(harness.close_step(DAY_NS, stages=("mark",))) == len(SYMBOLS) + 1
    assert harness.close_step(DAY_NS, stages=("assess", "decide")) == []


def test_arrival_order_changes_no_bit() -> None:
    results = []
    for seed in range(6):
        harness = EngineHarness(make)
        shuffler = random.Random(seed)
        for day in range(300):
            events = [*(DEFINED if day == 0 else []), *day_of(day)]
            shuffler.shuffle(events)
            harness.send(*events)
            harness.close_step((day + 1) * DAY_NS, stages=("mark",))
        results.append(harness.published)
    assert "volatility_252" in results[0][-2].zscores
    assert all(result == results[0] for result in results)


def test_a_restart_changes_nothing() -> None:
    def stretch(days: range) -> list[Event]:
        return [event for day in days for event in (*day_of(day), StepClosed((day + 1) * DAY_NS, "mark", day + 1))]

    check_snapshot_is_complete(make, [*DEFINED, *stretch(range(270))], stretch(range(270, 330)))


def test_the_universe_is_the_tradable_instruments_with_a_price_now() -> None:
    harness = EngineHarness(make)
    harness.send(instrument("SPX.INDEX", is_tradable=False), *DEFINED[:3])
    harness.send(close(0, "SPX.INDEX", 400.0), close(0, "UNDEFINED.X", 1.0), *day_of(0, SYMBOLS[:3]))
    harness.close_step(DAY_NS)
    assert [event.symbol for event in harness.of_type(FactorsCalculated)] == list(SYMBOLS[:3])
    harness.send(*day_of(1, SYMBOLS[1:3]))
    published = harness.close_step(2 * DAY_NS)
    assert [event.symbol for event in published[:-1]] == list(SYMBOLS[1:3])
    assert published[-1].universe == 2


def test_an_instrument_may_leave_the_universe_and_come_back() -> None:
    harness = EngineHarness(make)
    harness.send(*DEFINED)
    harness.send(instrument(SYMBOLS[0], is_tradable=False), *day_of(0))
    assert harness.close_step(DAY_NS)[-1].universe == len(SYMBOLS) - 1
    harness.send(instrument(SYMBOLS[0], ts_event=DAY_NS), *day_of(1))
    published = harness.close_step(2 * DAY_NS)
    assert published[-1].universe == len(SYMBOLS)
    assert published[0].missing["reversal_21"] == "warm-up: 2 of 22"


def test_a_step_without_prices_publishes_nothing() -> None:
    harness = EngineHarness(make)
    harness.send(*DEFINED)
    assert harness.close_step(DAY_NS) == []
    run(harness, range(1, 3))
    assert harness.close_step(9 * DAY_NS) == []


def test_one_instrument_alone_has_values_and_no_zscores() -> None:
    harness = EngineHarness(make)
    harness.send(DEFINED[0])
    for day in range(30):
        harness.send(*day_of(day, SYMBOLS[:1]))
        vector, panel = harness.close_step((day + 1) * DAY_NS)
    assert set(vector.values) == {"reversal_21"}
    assert vector.zscores == {}
    assert vector.missing["reversal_21_zscore"] == ("a z-score needs at least 2 instruments with a value; there is 1")
    assert panel.counts["reversal_21"] == 1


def test_equal_prices_have_values_and_no_zscores() -> None:
    harness = EngineHarness(make)
    harness.send(*DEFINED)
    for day in range(70):
        harness.send(*[close(day, symbol, 50.0) for symbol in SYMBOLS])
        published = harness.close_step((day + 1) * DAY_NS)
    assert published[0].values == {"reversal_21": 0.0, "volatility_63": 0.0}
    assert published[0].zscores == {}
    assert "same value" in published[0].missing["volatility_63_zscore"]


def test_a_bar_and_a_close_of_the_same_price_are_the_same() -> None:
    closes, bars = EngineHarness(make), EngineHarness(make)
    for harness in (closes, bars):
        harness.send(*DEFINED)
    for day in range(30):
        closes.send(*day_of(day))
        for event in day_of(day):
            price = event.close
            bars.send(BarClosed(event.ts_event, event.symbol, "1d", price, price, price, price, 1.0, "test"))
        assert closes.close_step((day + 1) * DAY_NS) == bars.close_step((day + 1) * DAY_NS)


def test_other_intervals_and_repeats_change_nothing() -> None:
    harness, plain = EngineHarness(make), EngineHarness(make)
    for one in (harness, plain):
        one.send(*DEFINED)
        run(one, range(30))
    harness.send(close(29, SYMBOLS[0], 1.0), close(30, SYMBOLS[0], 1.0, interval="1m"))
    status = harness.engine.status()
    assert (status["prices_ignored"], status["prices_of_other_intervals"]) == (1, 1)
    assert run(harness, range(30, 32)) == run(plain, range(30, 32))


def test_a_bad_price_is_a_dead_letter_and_changes_nothing() -> None:
    harness, plain = EngineHarness(make, allow_dead=True), EngineHarness(make)
    for one in (harness, plain):
        one.send(*DEFINED)
        run(one, range(30))
    harness.send(close(30, SYMBOLS[0], float("nan")), close(30, "NEW.X", float("inf")), close(30, SYMBOLS[0], 1e300))
    assert len(harness.dead) == 3
    assert run(harness, range(30, 32)) == run(plain, range(30, 32))


def test_a_price_below_zero_starts_the_history_afresh_and_says_so() -> None:
    harness = EngineHarness(make)
    harness.send(*DEFINED)
    run(harness, range(70))
    harness.send(close(70, SYMBOLS[0], -37.63), *day_of(70, SYMBOLS[1:]))
    vector = harness.close_step(71 * DAY_NS)[0]
    assert vector.values == {}
    assert set(vector.missing.values()) == {"returns need positive prices; the newest close is -37.63"}
    published = run(harness, range(71, 92))
    assert published[0].missing["reversal_21"] == "warm-up: 21 of 22"
    assert "reversal_21" in run(harness, range(92, 93))[0].values


def test_a_synthetic_price_marks_the_cross_section_while_it_is_in_a_window() -> None:
    harness = EngineHarness(make)
    harness.send(*DEFINED[:2])
    marks = []
    for day in range(300):
        harness.send(close(day, SYMBOLS[0], float(PRICES[day, 0]), synthetic=day == 10), *day_of(day, SYMBOLS[1:2]))
        marks.append({event.is_synthetic for event in harness.close_step((day + 1) * DAY_NS)[:-1]})
    assert [day for day, mark in enumerate(marks) if mark == {True}] == list(range(10, 10 + 253))
    assert all(len(mark) == 1 for mark in marks)


def test_metrics_and_status_are_the_state() -> None:
    harness = EngineHarness(make)
    harness.send(*DEFINED)
    run(harness, range(25))
    harness.restart()
    registry = CollectorRegistry()
    register_metrics(harness.engine, registry)
    text = generate_latest(registry).decode()
    assert "nautilus_factors_calculated_total 125.0" in text
    assert "nautilus_factor_universe 5.0" in text
    assert 'nautilus_factor_coverage{factor="reversal_21"} 5.0' in text
    assert 'nautilus_factor_coverage{factor="momentum_12_1"} 0.0' in text
    assert harness.engine.status() == {
        "factors_calculated": 125, "factor_definitions_loaded": 4, "cache_entries": 5, "instruments": 5, "universe": 5,
        "prices_ignored": 0, "prices_of_other_intervals": 0,
    }  # fmt: skip


def test_the_state_stays_bounded() -> None:
    harness = EngineHarness(make)
    harness.send(*DEFINED)
    run(harness, range(330))
    histories = harness.engine.state.histories.values()
    assert {(len(history.closes), len(history.returns)) for history in histories} == {(253, 252)}
    assert len(harness.of_type(FactorPanelCalculated)) == 330


def test_the_port_is_the_one_every_other_engine_expects() -> None:
    assert FactorSettings().port == 8300
