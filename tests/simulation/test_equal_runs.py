"""Two simulations are equal to the bit, in whatever order members are served and whatever Python's hash seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from services.fleet.simulate import SimulationResult, simulate
from services.fleet.terminal import plain_report
from services.marketdata.settings import MarketDataSettings

ROOT = Path(__file__).resolve().parents[2]
SOAK = os.environ.get("NAUTILUS_SOAK") == "1"
#: Long enough for a year of warm-up, monthly rebalances, predictions, and the bars that begin in 1999.
FIRST, LAST = (date(1990, 1, 1), date(2023, 1, 1)) if SOAK else (date(1997, 6, 1), date(1999, 9, 1))


def settings() -> MarketDataSettings:
    return MarketDataSettings(start_date=FIRST, end_date=LAST)


@cache
def straight() -> SimulationResult:
    return simulate(settings())


def test_the_run_is_sound_and_really_trades() -> None:
    result = straight()
    assert result.dead == []
    report = result.report
    assert report.fills > 50
    assert report.tape_events > report.fills
    assert report.snapshot is not None
    assert report.snapshot.cash + sum(p.market_value for p in report.snapshot.positions) == report.snapshot.equity
    assert report.fees == report.snapshot.fees
    assert report.metric("sharpe_ratio") is not None
    days = result.summary.steps
    assert report.performance is not None
    assert report.performance.observations == days - 1
    status = result.simulation.engine("strategy").status()
    assert (status["order_tape"], status["order_tape_events"]) == (report.order_tape, report.tape_events)


@pytest.mark.parametrize("schedule_seed", [1, 2, 3])
def test_no_decision_depends_on_the_order_of_arrival(schedule_seed: int) -> None:
    shuffled = simulate(settings(), schedule_seed=schedule_seed)
    assert shuffled.report.order_tape == straight().report.order_tape
    assert shuffled.report.snapshot == straight().report.snapshot
    assert shuffled.report.performance == straight().report.performance


def test_the_hash_seed_of_python_changes_nothing(tmp_path: Path) -> None:
    reports = []
    for seed in ("1", "4242"):
        target = tmp_path / f"{seed}.json"
        days = ["--from", FIRST.isoformat(), "--to", date.fromordinal(LAST.toordinal() - 1).isoformat()]
        done = subprocess.run(
            [sys.executable, "-m", "services.fleet", "simulate", *days, "--json", str(target)],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        reports.append({k: v for k, v in json.loads(target.read_text()).items() if "second" not in k})
    expected = {k: v for k, v in plain_report(straight()).items() if "second" not in k}
    assert reports == [expected, expected]
