"""The engine through the real core: what it publishes, in which stage, from which inputs."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import empyrical
import numpy as np
import pytest

from libs.contracts.analysis import PerformanceCalculated, VolatilityForecast
from libs.contracts.market import STEP_STAGES
from libs.contracts.orders import OrderCancelled
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness, check_snapshot_is_complete
from services.analytics.engine import AnalyticsEngine
from services.analytics.settings import AnalyticsSettings
from services.analytics.volatility import MIN_OBSERVATIONS
from tests.services.analytics.builders import (
    BENCHMARK,
    START,
    bar,
    created,
    day,
    filled,
    harness,
    history,
    instrument,
    make_engine,
    price,
    step,
    submitted,
    valuation,
)

DAYS = 60


def paths() -> tuple[list[float], list[float]]:
    draw = np.random.default_rng(11)
    closes = 3_000 * np.cumprod(1 + draw.standard_normal(DAYS) * 0.01)
    equities = 100_000 * np.cumprod(1 + draw.standard_normal(DAYS) * 0.008)
    return equities.round(2).tolist(), closes.round(2).tolist()


def test_published_performance_equals_empyrical_on_the_whole_series() -> None:
    equities, closes = paths()
    one = harness()
    one.send(*history(equities, closes))  # type: ignore[arg-type]
    newest = one.of_type(PerformanceCalculated)[-1]
    own = np.diff(equities) / equities[:-1]
    factor = np.diff(closes) / closes[:-1]
    alpha, beta = empyrical.alpha_beta(own, factor)
    expected = {
        "total_return": empyrical.cum_returns_final(own),
        "annual_return": empyrical.annual_return(own),
        "annual_volatility": empyrical.annual_volatility(own),
        "sharpe_ratio": empyrical.sharpe_ratio(own),
        "sortino_ratio": empyrical.sortino_ratio(own),
        "calmar_ratio": empyrical.calmar_ratio(own),
        "max_drawdown": empyrical.max_drawdown(own),
        "hit_rate": (own > 0).mean(),
        "profit_factor": own[own > 0].sum() / -own[own < 0].sum(),
        "alpha": alpha,
        "beta": beta,
        "turnover": 0.0,
    }
    assert newest.missing == {}
    assert newest.metrics == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert (newest.observations, newest.period_start, newest.ts_event) == (DAYS - 1, day(0), day(DAYS - 1))
    assert (newest.benchmark, newest.benchmark_observations) == (BENCHMARK, DAYS - 1)


def test_nothing_is_published_before_the_stage_assess() -> None:
    one = harness()
    one.send(price(day(0), BENCHMARK, 100.0), valuation(day(0), 100))
    assert one.published == []
    assert one.send(step(day(0), "mark")) == []
    assert [type(event) for event in one.send(step(day(0), "assess"))] == [PerformanceCalculated]
    assert one.send(step(day(0), "decide")) == []
    assert one.close_step(day(1), STEP_STAGES) == []


def test_under_two_returns_every_figure_is_missing_with_its_reason() -> None:
    one = harness()
    one.send(valuation(day(0), 100), step(day(0)), valuation(day(1), 101), step(day(1)))
    newest = one.of_type(PerformanceCalculated)[-1]
    assert newest.metrics == {"turnover": 0.0}
    assert newest.missing["sharpe_ratio"] == "needs at least 2 returns, has 1"
    assert newest.missing["beta"] == "needs at least 2 days with a benchmark close, has 0"


def test_turnover_is_two_sided_and_yearly() -> None:
    one = harness()
    one.send(created(), instrument("AAPL.XNAS"), valuation(day(0), 10_000), step(day(0)))
    one.send(submitted(day(1), "o1", "10"), filled(day(1), "o1", "f1", "10"))
    one.send(filled(day(1), "o2", "f2", "20", side="sell"), valuation(day(1), 10_000), step(day(1)))
    newest = one.of_type(PerformanceCalculated)[-1]
    # (100 * 10 + 100 * 20) / 10,000 over one day, times 252.
    assert newest.metrics["turnover"] == pytest.approx(75.6, rel=1e-12)


def test_after_a_total_loss_every_figure_is_missing() -> None:
    one = harness()
    one.send(valuation(day(0), 100), step(day(0)), valuation(day(1), -5), step(day(1)))
    newest = one.of_type(PerformanceCalculated)[-1]
    assert newest.metrics == {}
    assert set(newest.missing.values()) == {
        "equity was -5 on 2020-01-02T21:00:00+00:00: after a total loss no return is defined"
    }
    assert "turnover" in newest.missing


def test_forecasts_go_out_sorted_once_there_are_enough_returns() -> None:
    one = harness()
    for number in range(MIN_OBSERVATIONS + 1):
        for symbol in ("MSFT.XNAS", "AAPL.XNAS"):
            one.send(bar(day(number), symbol, 100.0 + number % 3))
        one.send(step(day(number)))
    forecasts = one.of_type(VolatilityForecast)
    assert [event.symbol for event in forecasts] == ["AAPL.XNAS", "MSFT.XNAS"]
    assert forecasts[0].observations == MIN_OBSERVATIONS
    assert one.send(step(day(30))) == []


def test_one_synthetic_input_makes_the_output_synthetic() -> None:
    one = harness()
    one.send(valuation(day(0), 100), step(day(0)), valuation(day(1), 101, is_synthetic=True), step(day(1)))
    assert [event.is_synthetic for event in one.of_type(PerformanceCalculated)] == [False, True]
    other = harness()
    other.send(price(day(0), BENCHMARK, 100.0, is_synthetic=True), valuation(day(0), 100), step(day(0)))
    assert other.of_type(PerformanceCalculated)[0].is_synthetic


def test_no_output_depends_on_the_order_of_streams_within_a_step() -> None:
    equities, closes = paths()
    streams: list[list[Event]] = [
        [instrument("AAPL.XNAS", "2"), price(day(20), "AAPL.XNAS", 10.0), price(day(20), BENCHMARK, closes[20])],
        [submitted(day(20), "o1", "10"), filled(day(20), "o1", "f2", "11", "0.5", leaves="50"),
         filled(day(20), "o1", "f1", "12", "0.25")],
        [created("other"), valuation(day(20), 55, portfolio_id="other"), valuation(day(20), equities[20])],
    ]  # fmt: skip
    before = history(equities[:20], closes[:20])
    outcomes = []
    for order in permutations(streams):
        one = harness()
        one.send(*before)  # type: ignore[arg-type]
        one.send(*[event for stream in order for event in stream])
        outcomes.append((one.send(step(day(20), number=21)), one.engine.state))
    assert len(outcomes[0][0]) == 3
    for outcome in outcomes[1:]:
        assert outcome == outcomes[0]


def test_a_restored_engine_continues_bit_for_bit() -> None:
    equities, closes = paths()
    events = history(equities, closes)
    cut = 3 * (DAYS // 2) + 2  # between a valuation and the step that uses it
    before = [created(), instrument("AAPL.XNAS"), submitted(START, "o1", "10"), *events[:cut]]
    before += [filled(day(DAYS // 2), "o1", "f1", "11", "0.5", leaves="10")]
    after = [*events[cut:], filled(day(DAYS - 1), "o1", "f2", "12"), step(day(DAYS - 1))]
    check_snapshot_is_complete(make_engine, before, after)  # type: ignore[arg-type]


def test_closed_orders_are_forgotten_and_open_ones_bounded() -> None:
    small = AnalyticsSettings(max_open_orders=2)
    one = EngineHarness(lambda clock, outbox: AnalyticsEngine(clock, outbox, small), START)
    for number in range(4):
        one.send(submitted(START, f"o{number}", "10"))
    assert sorted(one.engine.state.open_orders) == ["o2", "o3"]
    one.send(OrderCancelled(START, "o2", "trend", "AAPL.XNAS", Decimal(0), "asked"))
    one.send(filled(START, "o3", "f", "10", leaves="1"))
    assert sorted(one.engine.state.open_orders) == ["o3"]
    one.send(filled(START, "o3", "g", "10"))
    assert one.engine.state.open_orders == {}
    assert one.engine.status()["orders_forgotten"] == 2


def test_stale_and_unusable_input_is_counted_and_changes_nothing() -> None:
    one = harness()
    one.send(price(day(1), "A.X", 10.0), price(day(0), "A.X", 9.0), price(day(2), "A.X", -1.0))
    one.send(valuation(day(1), 100), step(day(1)), valuation(day(0), 90), step(day(2)))
    status = one.engine.status()
    assert (status["prices_ignored"], status["valuations_ignored"], status["symbols"]) == (2, 1, 1)
    assert one.of_type(PerformanceCalculated)[-1].observations == 0
