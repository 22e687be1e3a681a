"""Hot standby in virtual time: it follows, takes over when it should, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from libs.contracts.market import StepClosed, TradeReceived
from libs.engine.errors import DeterminismError
from libs.engine.host import Host
from libs.engine.lease import UNSEEN_LEASES
from libs.messagebus.errors import FencedError, StateLostError, TrimmedError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import Transport
from libs.testing.faulty_transport import FaultyTransport
from tests.libs.engine.echo_engine import EchoEngine, trade
from tests.libs.engine.hosting import killed, make_host, put, stopped, strengths, until_quiet
from tests.libs.engine.instant_loop import run_instantly

LEASE = 1.0


class Pair:
    """A primary and its standby, each with a connection of its own to one bus.

    Attributes:
        primary_bus, standby_bus: ``open.clear()`` freezes whoever uses it, ``down`` cuts it off.
    """

    def __init__(self, **settings: Any) -> None:
        self.bus = MemoryTransport()
        self.primary_bus, self.standby_bus = FaultyTransport(self.bus), FaultyTransport(self.bus)
        self.sequence = 0
        self._settings = settings
        self._tasks: list[asyncio.Task[None]] = []
        self.primary, self.primary_running = self.start(self.primary_bus)
        self.standby, self.standby_running = self.start(self.standby_bus, standby=True)

    def start(
        self, bus: Transport, engine: type[EchoEngine] = EchoEngine, standby: bool = False
    ) -> tuple[Host, asyncio.Task[None]]:
        host = make_host(bus, engine, standby=standby, **self._settings)
        running = asyncio.create_task(host.run())
        self._tasks.append(running)
        return host, running

    async def trades(self, count: int) -> None:
        """Put some trades, each a batch; every second one of a symbol gives a signal."""
        for _ in range(count):
            await put(self.bus, trade(self.sequence + 1), sequence=self.sequence)
            self.sequence += 1

    async def level(self) -> None:
        """Everything is committed, and the standby has done it again."""
        await until_quiet(self.bus)
        await until(lambda: self.standby.committer.commits == self.primary.committer.commits)

    async def end(self) -> None:
        for task in self._tasks:
            await killed(task)


async def until(holds: Callable[[], bool], seconds: float = 120.0) -> float:
    """Wait until it holds; the virtual seconds it took."""
    clock = asyncio.get_running_loop()
    began = clock.time()
    while not holds():
        assert clock.time() - began < seconds, "it must come true in time"
        await asyncio.sleep(0.01)
    return clock.time() - began


def with_pair(use: Callable[[Pair], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        pair = Pair(**settings)
        await pair.trades(4)
        await pair.level()
        assert (pair.primary.state, pair.standby.state) == ("running", "standby")
        await use(pair)
        await pair.end()

    run_instantly(main())


def signals_of(trades: int) -> list[float]:
    return [0.0, *(float(number) for number in range(2, trades + 1, 2))]


def test_a_standby_does_everything_again_and_commits_nothing() -> None:
    async def use(pair: Pair) -> None:
        await pair.trades(100)
        await pair.level()
        assert pair.standby.engine.status() == pair.primary.engine.status()
        assert pair.standby.core.sequence == pair.primary.core.sequence
        assert pair.standby.committer.last_hash == pair.primary.committer.last_hash
        assert await strengths(pair.bus) == signals_of(104)
        assert pair.standby_bus.calls["commit"] == pair.standby_bus.calls["save_snapshot"] == 0
        fact = pair.standby.standby_fact
        assert fact is not None
        assert (fact.primary_epoch, fact.lag_commits) == (1, 0)
        assert fact.follows_commit == pair.primary.committer.commits
        await until(lambda: pair.primary.lease.watched)

    with_pair(use)


def test_it_takes_over_when_the_primary_dies_and_goes_on_where_that_was() -> None:
    async def use(pair: Pair) -> None:
        await killed(pair.primary_running)
        await pair.trades(10)
        assert await until(lambda: pair.standby.state == "running") < LEASE + 0.5
        await until_quiet(pair.bus)
        assert await strengths(pair.bus) == signals_of(14)
        assert pair.standby.committer.lease.epoch == 2
        assert pair.standby.standby_fact is None
        assert pair.standby_bus.calls["load_snapshots"] == 1  # nothing was recovered again
        await stopped(pair.standby, pair.standby_running)
        assert [image.number for image in await pair.bus.load_snapshots("echo")] == [pair.standby.committer.commits]

    with_pair(use)


def test_a_primary_that_has_nothing_to_do_keeps_its_lease() -> None:
    async def use(pair: Pair) -> None:
        before = pair.primary.committer.commits
        await asyncio.sleep(600)
        assert pair.primary.committer.commits == before
        assert (pair.primary.state, pair.standby.state) == ("running", "standby")

    with_pair(use)


def test_a_frozen_primary_is_replaced_and_learns_of_it_when_it_wakes_even_with_nothing_to_commit() -> None:
    async def use(pair: Pair) -> None:
        pair.primary_bus.open.clear()
        assert await until(lambda: pair.standby.state == "running") < LEASE + 0.5
        await pair.trades(6)
        await until_quiet(pair.bus)
        pair.primary_bus.open.set()
        with pytest.raises(FencedError, match=r"epoch of .echo. must be 2, was 1: another host of this engine"):
            await pair.primary_running
        assert pair.primary.state == "failed"
        assert await strengths(pair.bus) == signals_of(10)

    with_pair(use)


def test_what_a_frozen_primary_was_about_to_commit_is_refused() -> None:
    async def use(pair: Pair) -> None:
        pair.primary_bus.open.clear()
        await pair.trades(6)  # read by nobody: its reads are frozen too, but for those already under way
        await until(lambda: pair.standby.state == "running")
        await until_quiet(pair.bus)
        pair.primary_bus.open.set()
        with pytest.raises(FencedError):
            await pair.primary_running
        assert await strengths(pair.bus) == signals_of(10)

    with_pair(use)


def test_a_freeze_shorter_than_the_lease_changes_nothing() -> None:
    async def use(pair: Pair) -> None:
        for _ in range(20):
            pair.primary_bus.open.clear()
            await asyncio.sleep(0.6 * LEASE)
            pair.primary_bus.open.set()
            await asyncio.sleep(0.5 * LEASE)
        assert (pair.primary.state, pair.standby.state) == ("running", "standby")

    with_pair(use)


def test_a_bus_that_is_away_for_both_costs_nobody_the_lease() -> None:
    async def use(pair: Pair) -> None:
        for away in (0.3, 5.0, 300.0):
            pair.primary_bus.down = pair.standby_bus.down = True
            await asyncio.sleep(away)
            pair.standby_bus.down = False  # the standby is back first, by several leases
            await asyncio.sleep(UNSEEN_LEASES * LEASE / 2)
            pair.primary_bus.down = False
            await pair.trades(2)
            await pair.level()
            assert (pair.primary.state, pair.standby.state) == ("running", "standby")
        assert pair.primary.committer.lease.epoch == 1

    with_pair(use)


def test_a_bus_that_answers_nobody_for_a_while_costs_nobody_the_lease() -> None:
    async def use(pair: Pair) -> None:
        for frozen in (0.4, 3.0, 60.0):
            pair.primary_bus.open.clear()
            pair.standby_bus.open.clear()
            await asyncio.sleep(frozen)
            pair.standby_bus.open.set()
            await asyncio.sleep(0.1 * LEASE)
            pair.primary_bus.open.set()
            await pair.trades(2)
            await pair.level()
        assert (pair.primary.state, pair.primary.committer.lease.epoch) == ("running", 1)

    with_pair(use)


def test_a_primary_that_died_while_the_bus_was_away_is_replaced_after_the_longer_time() -> None:
    async def use(pair: Pair) -> None:
        pair.standby_bus.down = True
        await killed(pair.primary_running)
        await asyncio.sleep(30)
        assert pair.standby.state == "standby"
        pair.standby_bus.down = False
        assert UNSEEN_LEASES * LEASE <= await until(lambda: pair.standby.state == "running") < UNSEEN_LEASES * LEASE + 1

    with_pair(use)


def test_of_two_standbys_one_takes_over_and_the_other_stands_by_for_it() -> None:
    async def use(pair: Pair) -> None:
        other, _ = pair.start(pair.bus, standby=True)
        await until(lambda: other.committer.commits == pair.primary.committer.commits)
        await killed(pair.primary_running)
        await until(lambda: "running" in (pair.standby.state, other.state))
        await pair.trades(10)
        await asyncio.sleep(60)
        assert sorted((pair.standby.state, other.state)) == ["running", "standby"]
        winner, loser = (pair.standby, other) if pair.standby.state == "running" else (other, pair.standby)
        assert winner.committer.lease.epoch == 2
        assert loser.committer.commits == winner.committer.commits
        assert loser.engine.status() == winner.engine.status()
        assert await strengths(pair.bus) == signals_of(14)

    with_pair(use)


def test_a_clean_stop_of_the_primary_hands_over_at_once() -> None:
    async def use(pair: Pair) -> None:
        await stopped(pair.primary, pair.primary_running)
        assert await until(lambda: pair.standby.state == "running") < 0.5 * LEASE
        await pair.trades(6)
        await until_quiet(pair.bus)
        assert await strengths(pair.bus) == signals_of(10)

    with_pair(use)


def test_a_standby_that_is_told_to_stop_leaves_no_trace() -> None:
    async def use(pair: Pair) -> None:
        await stopped(pair.standby, pair.standby_running)
        assert pair.standby.state == "stopped"
        await pair.trades(2)
        await until_quiet(pair.bus)
        assert (pair.primary.state, (await pair.bus.watch("echo")).epoch) == ("running", 1)
        assert await pair.bus.load_snapshots("echo") == []

    with_pair(use)


def test_a_standby_started_before_any_primary_waits_for_it_and_begins_the_engine_itself_in_the_end() -> None:
    async def main() -> None:
        bus = MemoryTransport()
        host = make_host(bus, standby=True)
        running = asyncio.create_task(host.run())
        await put(bus, trade(1), trade(2), sequence=0)
        assert await until(lambda: host.state == "running") >= UNSEEN_LEASES * LEASE
        await until_quiet(bus)
        assert await strengths(bus) == [0.0, 2.0]
        await stopped(host, running)

    run_instantly(main())


def test_a_takeover_whose_reply_is_lost_succeeds_at_the_next_attempt() -> None:
    async def use(pair: Pair) -> None:
        pair.standby_bus.fail("take_over", "reply_lost")
        await killed(pair.primary_running)
        await pair.trades(6)
        await until(lambda: pair.standby.state == "running")
        await until_quiet(pair.bus)
        assert pair.standby.committer.lease.epoch == 3
        assert await strengths(pair.bus) == signals_of(10)

    with_pair(use)


def test_armed_timers_go_on_after_a_takeover() -> None:
    async def use(pair: Pair) -> None:
        await put(pair.bus, StepClosed(1_000, "mark", 1), sequence=pair.sequence)
        await pair.level()
        await killed(pair.primary_running)
        await until(lambda: pair.standby.state == "running")
        pair.standby._clock.advance_to(3_500)  # type: ignore[attr-defined]  # the host's own clock: two timers are due
        await until(lambda: pair.standby.engine.status()["ticks"] == 2)

    with_pair(use)


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
