"""What a standby cannot follow ends it with the reason; its primary goes on."""

from __future__ import annotations

import pytest

from libs.contracts.market import TradeReceived
from libs.engine.errors import DeterminismError
from libs.messagebus.errors import StateLostError, TrimmedError
from libs.messagebus.memory import MemoryTransport
from tests.libs.engine.echo_engine import EchoEngine
from tests.libs.engine.hosting import until_quiet
from tests.libs.engine.standby_pair import Pair, with_pair


def test_a_standby_that_would_have_decided_otherwise_says_which_commit_and_the_primary_goes_on() -> None:
    class OtherEngine(EchoEngine):
        def on_trade(self, event: TradeReceived) -> None:
            super().on_trade(event)
            if self._counts[event.symbol] == 7:
                self._counts[event.symbol] += 1

    async def use(pair: Pair) -> None:
        other, running = pair.start(pair.bus, OtherEngine, standby=True)
        await pair.trades(10)
        with pytest.raises(DeterminismError, match="commit"):
            await running
        assert other.state == "failed"
        await pair.level()
        assert pair.primary.state == "running"

    with_pair(use)


def test_a_bus_that_lost_commits_ends_the_standby_and_is_not_followed_into_another_past() -> None:
    async def use(pair: Pair) -> None:
        pair.standby_bus.inner = MemoryTransport()
        with pytest.raises(StateLostError, match="lost commits this standby has followed"):
            await pair.standby_running

    with_pair(use)


def test_a_commit_that_was_replaced_by_another_is_noticed() -> None:
    async def use(pair: Pair) -> None:
        await pair.trades(4)
        await pair.level()
        reader = pair.bus._readers["echo"]
        number, entry = reader.journal[-1]
        reader.journal[-1] = (number, entry + b"\0")
        await pair.trades(2)
        with pytest.raises(
            StateLostError, match=f"commit {number} of 'echo' must be the one this standby has followed"
        ):
            await pair.standby_running

    with_pair(use)


def test_a_standby_that_fell_behind_two_snapshots_says_so() -> None:
    async def use(pair: Pair) -> None:
        pair.standby_bus.open.clear()
        for _ in range(3):
            await pair.trades(2)
            await until_quiet(pair.bus)
            await pair.primary.snapshot_now()
        pair.standby_bus.open.set()
        with pytest.raises(TrimmedError, match="standby fell behind the snapshots of its primary; restart it"):
            await pair.standby_running

    with_pair(use, trims={"market:normal": 0})
