"""The replay when something is wrong: a reader that is away, a bus that is away, wrong data, a lost command."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from libs.contracts.market import CloseStep, FeedStateChanged, IngestMarketData, StepClosed
from libs.messagebus.errors import TransportError, TransportRefusedError
from libs.messagebus.topic import Event
from services.marketdata.errors import ReplayError, RowError
from services.marketdata.stepping import REPLAY_FEED
from tests.services.marketdata.builders import Stopped, fleet_of, run_until_stopped


def test_it_says_whom_it_waits_for(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, lockstep_readers=("marketdata", "risk", "watcher"))

    def act() -> None:
        if fleet.now_ns > 3_000_000_000:
            raise Stopped

    fleet.on_sleep = act
    run_until_stopped(fleet)
    assert fleet.posted == []
    assert fleet.progress.waiting_for == ["risk"]
    assert max(fleet.slept) == 0.005


def test_a_bus_that_is_away_is_waited_for_and_one_that_refuses_is_not(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, days=2)
    look, failures = fleet.look, 3

    async def flaky(readers: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise TransportError("connection refused")
        return await look(readers)

    fleet.look = flaky  # type: ignore[method-assign]
    run_until_stopped(fleet)
    assert [one.step for one in fleet.published if isinstance(one, StepClosed)] == [1, 1, 1, 2, 2, 2]
    assert fleet.slept.count(0.5) == 3

    async def refusing(_readers: Any) -> Any:
        raise TransportRefusedError("no permission")

    fleet.look = refusing  # type: ignore[method-assign]
    fleet.on_sleep = lambda: None
    with pytest.raises(TransportRefusedError):
        asyncio.run(fleet.adapter().run())


def test_a_data_set_that_is_wrong_at_its_end_publishes_nothing(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, days=3)
    with (tmp_path / "closes.csv").open("a") as file:
        file.write("2020-01-04,14,-1\n")
    with pytest.raises(RowError, match="line 5, column 'B': must be a finite price above 0, was -1"):
        asyncio.run(fleet.adapter().run())
    fleet.simulation.drain()
    assert [(type(one), one.state) for one in fleet.published] == [(FeedStateChanged, "failed")]  # type: ignore[attr-defined]
    assert "line 5" in fleet.engine.state.feeds[REPLAY_FEED].detail


@pytest.mark.parametrize("lost", [IngestMarketData, CloseStep])
def test_a_lost_command_stops_the_replay_instead_of_skipping_data(lost: type[Event], tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path)
    post = fleet.post

    async def losing(command: Event) -> str:
        return "source:0" if isinstance(command, lost) else await post(command)

    fleet.post = losing  # type: ignore[method-assign]
    with pytest.raises(ReplayError, match="was sent and not"):
        asyncio.run(fleet.adapter().run())
