"""Each limit type against a value computed by hand, thresholds and severities, and what cannot be measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from libs.contracts.risk import LimitType, LimitUpdated
from libs.engine.errors import CommandRefused
from libs.testing.engine_harness import EngineHarness
from services.risk.limits import UNITS, check_limit, measure
from services.risk.settings import RiskSettings
from tests.services.risk.builders import close, limit, make, paths, play, snapshot, step

HOLDINGS = {"AAA.X": 600_000.0, "BBB.X": -300_000.0}


def limit_of(
    kind: LimitType, value: float, symbol: str = "", warning: float = 0.8, breach: float = 1.0
) -> LimitUpdated:
    return LimitUpdated(0, "L", kind, value, warning, "alert", True, "", symbol, "tester", breach)


@pytest.fixture(scope="module")
def engine() -> EngineHarness:
    engine = EngineHarness(make)
    last = play(engine, ["AAA.X", "BBB.X"], paths(2, 300))
    engine.send(snapshot(last, HOLDINGS, 500_000.0, pnl_day=-12_000.0, peak=800_000.0), *step(last))
    return engine


def simulated(engine: EngineHarness) -> Any:
    returns = engine.engine.prices.joint_returns(["AAA.X", "BBB.X"], 252)
    return 600_000.0 * returns[0] - 300_000.0 * returns[1]


@pytest.mark.parametrize(
    ("kind", "symbol", "expected"),
    [
        ("position_size", "", 600_000.0),
        ("position_size", "BBB.X", 300_000.0),
        ("position_size", "ZZZ.X", 0.0),
        ("portfolio_value", "", 900_000.0),
        ("daily_loss", "", 12_000.0),
        ("concentration", "", 2 / 3),
        ("leverage", "", 1.8),
        ("drawdown", "", 0.375),
    ],
)
def test_by_hand(engine: EngineHarness, kind: LimitType, symbol: str, expected: float) -> None:
    found = measure(limit_of(kind, 1e9, symbol), engine.engine.state.assessments["main"])
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.utilization == pytest.approx(expected / 1e9, rel=1e-12)


def test_var_and_volatility_against_numpy(engine: EngineHarness) -> None:
    found = engine.engine.state.assessments["main"]
    outcomes = simulated(engine)
    var = -np.percentile(outcomes, 5) / 500_000.0
    assert measure(limit_of("var_limit", 1.0), found).value == pytest.approx(var, rel=1e-11)
    volatility = np.std(outcomes[-63:], ddof=1) / 500_000.0 * np.sqrt(252)
    assert measure(limit_of("volatility", 1.0), found).value == pytest.approx(volatility, rel=1e-11)


def test_a_profit_uses_nothing_of_a_loss_limit() -> None:
    engine = EngineHarness(make)
    engine.send(snapshot(1, {}, pnl_day=5_000.0), *step(1))
    assert measure(limit_of("daily_loss", 100.0), engine.engine.state.assessments["main"]).value == 0.0


@pytest.mark.parametrize(
    ("value", "state", "severity"),
    [
        (2_300_000.0, "ok", None),  # 900,000 is 39 %
        (1_125_000.0, "warning", "low"),  # exactly 80 %
        (900_000.0, "breached", "medium"),  # exactly 100 %
        (750_000.0, "breached", "high"),  # 120 %
        (600_000.0, "breached", "critical"),  # 150 %
    ],
)
def test_states_and_severities(engine: EngineHarness, value: float, state: str, severity: str) -> None:
    found = measure(limit_of("portfolio_value", value), engine.engine.state.assessments["main"])
    assert (found.state, found.severity) == (state, severity)


def test_an_earlier_breach_threshold_is_a_breach_of_medium_severity(engine: EngineHarness) -> None:
    found = measure(limit_of("portfolio_value", 1_000_000.0, breach=0.9), engine.engine.state.assessments["main"])
    assert (found.state, found.severity) == ("breached", "medium")


def test_a_limit_in_money_grows_with_equity_where_a_share_is_given(engine: EngineHarness) -> None:
    found = engine.engine.state.assessments["main"]  # equity 500,000 after a loss of 12,000
    for kind, base in (("daily_loss", 512_000.0), ("position_size", 500_000.0), ("portfolio_value", 500_000.0)):
        limit = LimitUpdated(0, "L", kind, 1_000.0, 0.8, "alert", True, "", "", "tester", 1.0, 0.05)
        assert measure(limit, found).limit_value == pytest.approx(0.05 * base, rel=1e-12)
        floor = LimitUpdated(0, "L", kind, 1e6, 0.8, "alert", True, "", "", "tester", 1.0, 0.05)
        assert measure(floor, found).limit_value == 1e6


def unmeasurable(engine: EngineHarness, kind: LimitType) -> str:
    found = measure(limit_of(kind, 1.0), engine.engine.state.assessments["main"])
    assert (found.state, found.value, found.utilization, found.severity) == ("unmeasurable", None, None, "medium")
    return found.reason


def test_what_cannot_be_measured_says_why() -> None:
    engine = EngineHarness(make)
    engine.send(close("AAA.X", 1, 10.0), snapshot(1, {"AAA.X": 5.0}, -1.0, peak=0.0), *step(1))
    assert "0 days on which all positions have a return, 60 are needed" in unmeasurable(engine, "var_limit")
    assert "63 are needed" in unmeasurable(engine, "volatility")
    assert unmeasurable(engine, "leverage") == "equity must be positive to measure against, was -1.0"
    assert "must be positive" in unmeasurable(engine, "drawdown")


def test_without_equity_var_and_volatility_have_no_denominator() -> None:
    engine = EngineHarness(make)
    last = play(engine, ["AAA.X"], paths(1, 100))
    engine.send(snapshot(last, {"AAA.X": 5.0}, 0.0), *step(last))
    assert "equity must be positive" in unmeasurable(engine, "var_limit")
    assert "equity must be positive" in unmeasurable(engine, "volatility")


def test_an_old_price_makes_every_limit_unmeasurable() -> None:
    engine = EngineHarness(make)
    engine.send(snapshot(10, {"AAA.X": 5.0}, mark_day=3), *step(10))
    assert not engine.engine.state.assessments["main"].stale, "seven days bridge the longest closures"
    engine.send(snapshot(11, {"AAA.X": 5.0}, mark_day=3), *step(11))
    for kind in UNITS:
        assert unmeasurable(engine, kind) == "the price of AAA.X is 8.0 days old, at most 7 may pass"


def test_an_old_valuation_makes_every_limit_unmeasurable() -> None:
    engine = EngineHarness(make)
    engine.send(snapshot(1, {}), *step(1), *step(2))
    for kind in UNITS:
        assert unmeasurable(engine, kind) == "the last valuation is 86400 s old, at most 60 s may pass"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"limit_value": 0.0}, "limit_value of 'L' must be positive and finite, was 0.0"),
        ({"limit_value": float("nan")}, "was nan"),
        ({"limit_value": float("inf")}, "was inf"),
        ({"threshold_warning": 1.0}, "must satisfy 0 < warning < breach <= 1, was 1.0 and 1.0"),
        ({"threshold_warning": 0.0}, "was 0.0 and 1.0"),
        ({"threshold_breach": 1.2}, "was 0.8 and 1.2"),
        ({"limit_id": "a/b"}, "limit_id must be 1 to 64 letters"),
        ({"equity_fraction": 0.1}, "equity_fraction of 'L' (leverage) must be 0 to 10, and 0 unless .* was 0.1"),
        ({"equity_fraction": float("nan")}, "was nan"),
        ({"symbol": "AAA.X"}, "symbol of 'L' must be empty for leverage, was 'AAA.X'"),
    ],
)
def test_impossible_limits_are_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandRefused, match=text.replace("(", r"\(").replace(")", r"\)")) as refused:
        check_limit(limit("leverage", fields.pop("limit_value", 1.0), **fields))
    assert refused.value.status == 422


def test_the_default_limits_are_possible_and_only_alert() -> None:
    limits = RiskSettings().default_limits(0)
    assert {one.limit_type: one.limit_value for one in limits} == {
        "daily_loss": 50_000.0, "drawdown": 0.25, "leverage": 2.0, "var_limit": 0.04,
    }  # fmt: skip
    assert {one.action for one in limits} == {"alert"}
    assert EngineHarness(make).published == limits
