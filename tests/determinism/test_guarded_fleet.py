"""A handler that asks the machine for anything ends a simulation and fails a test; it is no dead letter."""

from __future__ import annotations

import random
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from libs.contracts.market import CloseReceived
from libs.engine.errors import NondeterminismError
from libs.testing.engine_harness import EngineHarness
from services.features.engine import FeaturesEngine
from services.features.settings import FeaturesSettings
from services.fleet.cli import app
from services.fleet.simulate import simulate
from services.marketdata.settings import MarketDataSettings
from services.strategy.library.moving_average_cross import MovingAverageCross

HERE = "tests/determinism/test_guarded_fleet.py"


def run() -> None:
    simulate(MarketDataSettings(start_date=date(1999, 1, 4), end_date=date(1999, 1, 8)))


def reads_the_clock(self: Any, event: Any) -> None:
    time.time_ns()


def draws_chance(self: Any, event: Any) -> None:
    random.random()


def reads_a_file(self: Any, event: Any) -> None:
    Path(__file__).read_text()


@pytest.mark.parametrize(
    ("handler", "call"),
    [(reads_the_clock, "time.time_ns"), (draws_chance, "random.random"), (reads_a_file, "open")],
)
def test_a_simulation_ends_with_the_call_and_its_line(handler: Any, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeaturesEngine, "on_close", handler)
    with pytest.raises(NondeterminismError) as caught:
        run()
    error = caught.value
    assert (error.who, error.call, error.file) == ("features", call, HERE)
    assert error.line == handler.__code__.co_firstlineno + 1


def test_a_strategy_is_watched_though_its_errors_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner stops a strategy that raises and goes on; what it took from outside must not pass as that."""

    def on_bar(self: Any, bar: Any) -> None:
        datetime.now(UTC)

    monkeypatch.setattr(MovingAverageCross, "on_bar", on_bar)
    with pytest.raises(NondeterminismError, match=r"'strategy' must take nothing from outside, was datetime\.now at"):
        run()


def test_an_adapter_reads_its_files_and_the_simulation_its_clock() -> None:
    run()


def test_the_command_says_it_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeaturesEngine, "on_close", reads_the_clock)
    done = CliRunner().invoke(app, ["simulate", "--from", "1999-01-04", "--to", "1999-01-08"])
    assert done.exit_code == 1
    assert f"nautilus simulate: handlers of 'features' must take nothing from outside, was time.time_ns at {HERE}" in (
        done.output
    )
    assert "Traceback" not in done.output


def test_every_engine_test_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeaturesEngine, "on_close", reads_the_clock)
    harness = EngineHarness(lambda clock, outbox: FeaturesEngine(clock, outbox, FeaturesSettings()))
    with pytest.raises(NondeterminismError, match=r"time\.time_ns"):
        harness.send(CloseReceived(1, "AAPL.XNAS", "1d", 101.5, "test"))
