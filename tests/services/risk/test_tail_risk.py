"""Published VaR and CVaR against empyrical and against the covariance matrix, on joint returns of many symbols."""

from __future__ import annotations

import empyrical
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from libs.contracts.risk import RiskCalculated
from libs.testing.engine_harness import EngineHarness
from services.risk.simulation import (
    VALUE_NAMES,
    historical_components,
    parametric_components,
    simulate,
)
from tests.services.risk.builders import close, make, paths, play, snapshot, step

SYMBOLS = ["AAA.X", "BBB.X", "CCC.X", "DDD.X"]
HOLDINGS = {"AAA.X": 400_000.0, "CCC.X": -150_000.0, "BBB.X": 250_000.0, "DDD.X": 90_000.0}


def assessed(days: int = 300) -> tuple[EngineHarness, RiskCalculated, NDArray[np.float64]]:
    """The engine after ``days`` of prices, what it published, and the outcomes computed the plain way."""
    prices = paths(len(SYMBOLS), days)
    engine = EngineHarness(make)
    last = play(engine, SYMBOLS, prices)
    engine.send(snapshot(last, HOLDINGS), *step(last))
    returns = (prices[:, 1:] / prices[:, :-1] - 1.0)[:, -252:]
    outcomes = np.array([HOLDINGS[symbol] for symbol in SYMBOLS]) @ returns
    return engine, engine.of_type(RiskCalculated)[-1], outcomes


def test_historical_values_are_empyricals() -> None:
    _, found, outcomes = assessed()
    assert found.missing == {}
    assert found.observations == 252
    assert sorted(found.values) == sorted(VALUE_NAMES)
    for percent in (95, 99):
        cutoff = round(1 - percent / 100, 2)
        # The same order statistics; the outcomes are summed in another order, hence not to the last bit.
        expected = -empyrical.value_at_risk(outcomes, cutoff=cutoff)
        assert found.values[f"historical_var_{percent}"] == pytest.approx(expected, rel=1e-11)
        expected = -empyrical.conditional_value_at_risk(outcomes, cutoff=cutoff)
        assert found.values[f"historical_cvar_{percent}"] == pytest.approx(expected, rel=1e-11)


def test_parametric_values_are_those_of_the_covariance_matrix() -> None:
    engine, found, _ = assessed()
    returns = engine.engine.prices.joint_returns(SYMBOLS, 252)
    weights = np.array([HOLDINGS[symbol] for symbol in SYMBOLS])
    deviation = np.sqrt(weights @ np.cov(returns, ddof=1) @ weights)
    for confidence, percent in ((0.95, 95), (0.99, 99)):
        z = stats.norm.ppf(confidence)
        assert found.values[f"parametric_var_{percent}"] == pytest.approx(z * deviation, rel=1e-10)
        shortfall = stats.norm.pdf(z) / (1 - confidence) * deviation
        assert found.values[f"parametric_cvar_{percent}"] == pytest.approx(shortfall, rel=1e-10)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.975, 0.99])
def test_components_sum_to_the_whole(confidence: float) -> None:
    engine, _, _ = assessed()
    outcomes = simulate(HOLDINGS, engine.engine.prices, 252)
    historical = -empyrical.value_at_risk(outcomes.total, cutoff=round(1 - confidence, 3))
    assert sum(historical_components(outcomes, confidence).values()) == pytest.approx(historical, rel=1e-10)
    parametric = stats.norm.ppf(confidence) * np.std(outcomes.total, ddof=1)
    assert sum(parametric_components(outcomes, confidence).values()) == pytest.approx(parametric, rel=1e-10)


def test_a_hedge_contributes_negatively() -> None:
    engine = EngineHarness(make)
    for day, price in enumerate(paths(1, 100)[0].tolist(), start=1):
        engine.send(close("LONG.X", day, price), close("TWIN.X", day, price))
    outcomes = simulate({"LONG.X": 100.0, "TWIN.X": -40.0}, engine.engine.prices, 252)
    components = parametric_components(outcomes, 0.95)
    assert components["TWIN.X"] == pytest.approx(-0.4 * components["LONG.X"], rel=1e-12)
    assert components["TWIN.X"] < 0 < components["LONG.X"]


def test_too_little_history_is_missing_with_the_reason_and_never_a_number() -> None:
    _, found, _ = assessed(days=60)
    assert found.values == {}
    assert sorted(found.missing) == sorted(VALUE_NAMES)
    assert "59 days on which all positions have a return, 60 are needed" in found.missing["historical_var_95"]
    _, found, _ = assessed(days=61)
    assert (found.observations, found.missing) == (60, {})


def test_a_position_without_prices_makes_everything_missing() -> None:
    engine = EngineHarness(make)
    last = play(engine, SYMBOLS, paths(len(SYMBOLS), 100))
    engine.send(snapshot(last, {"AAA.X": 1.0, "NEW.X": 1.0}), *step(last))
    found = engine.of_type(RiskCalculated)[-1]
    assert found.values == {}
    assert "NEW.X has the shortest history, 0 closes" in found.missing["parametric_cvar_99"]


def test_nothing_held_risks_nothing() -> None:
    engine = EngineHarness(make)
    engine.send(snapshot(1, {}), *step(1))
    found = engine.of_type(RiskCalculated)[-1]
    assert found.values == dict.fromkeys(VALUE_NAMES, 0.0)
    assert found.observations == 0


def test_synthetic_prices_make_synthetic_risk() -> None:
    engine = EngineHarness(make)
    engine.send(close("AAA.X", 1, 10.0, is_synthetic=True), snapshot(1, {"AAA.X": 5.0}), *step(1))
    assert engine.of_type(RiskCalculated)[-1].is_synthetic
    engine.send(snapshot(2, {}), *step(2))
    assert not engine.of_type(RiskCalculated)[-1].is_synthetic
