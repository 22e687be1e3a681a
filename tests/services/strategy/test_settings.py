"""Settings: the defaults trade, mistakes are told before anything starts."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from libs.contracts.fleet import PAPER_VENUE, PORTS
from libs.engine.errors import SettingsError
from services.strategy.__main__ import components
from services.strategy.settings import StrategySettings


def test_the_process_runs_the_engine_and_the_venue() -> None:
    engine, venue = components(StrategySettings())
    assert (engine.name, engine.port) == ("strategy", PORTS["strategy"])
    assert (venue.name, venue.port) == (PAPER_VENUE, None)


def test_both_strategies_are_the_default() -> None:
    assert [one.strategy_id for one in StrategySettings().strategies] == [
        "cross_sectional_momentum",
        "moving_average_cross",
    ]


def test_strategies_are_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [{"strategy_id": "fast-cross", "library_id": "moving_average_cross", "parameters": {"fast": 5}}]
    monkeypatch.setenv("STRATEGY_STRATEGIES", json.dumps(given))
    monkeypatch.setenv("RISK_MAX_NOTIONAL", "1234.5")
    monkeypatch.setenv("STRATEGY_ALLOW_SHORT", "1")
    settings = StrategySettings()
    assert settings.strategies[0].portfolio_id == "main"
    assert settings.gate_limits().max_notional == Decimal("1234.5")
    assert settings.gate_limits().allow_short


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([{"strategy_id": "a", "library_id": "none"}], "library_id must be one of cross_sectional_momentum, moving"),
        ([{"strategy_id": "a", "library_id": "moving_average_cross", "parameters": {"fast": 0}}], "`int` >= 1"),
        ([{"strategy_id": "a", "library_id": "moving_average_cross", "parameters": {"fast": 40}}], "fast must be less"),
        (
            [{"strategy_id": "a", "library_id": "moving_average_cross", "parameters": {"quick": 4}}],
            "unknown field `quick`",
        ),
        (
            [{"strategy_id": "a", "library_id": "cross_sectional_momentum", "parameters": {"skip_months": 12}}],
            "skip_months",
        ),
        (
            [{"strategy_id": "a", "library_id": "moving_average_cross"}] * 2,
            "must name every strategy_id once, was a twice",
        ),
        ([{"strategy_id": "A:b", "library_id": "moving_average_cross"}], "strategy_id"),
    ],
)
def test_mistakes_stop_the_start(monkeypatch: pytest.MonkeyPatch, given: object, text: str) -> None:
    monkeypatch.setenv("STRATEGY_STRATEGIES", json.dumps(given))
    with pytest.raises(SettingsError, match="STRATEGY_STRATEGIES") as error:
        StrategySettings()
    assert text in str(error.value)


@pytest.mark.parametrize("name", ["RISK_PRICE_COLLAR", "RISK_STALE_SECONDS", "STRATEGY_PAPER_PARTICIPATION"])
@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf"])
def test_limits_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        StrategySettings()
