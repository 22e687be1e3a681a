"""Hot standby in virtual time: it follows, takes over when it should, and only then."""

from __future__ import annotations

import asyncio

import pytest

from libs.contracts.market import StepClosed
from libs.engine.lease import UNSEEN_LEASES
from libs.messagebus.errors import FencedError
from libs.messagebus.memory import MemoryTransport
from tests.libs.engine.echo_engine import trade
from tests.libs.engine.hosting import killed, make_host, put, stopped, strengths, until_quiet
from tests.libs.engine.instant_loop import run_instantly
from tests.libs.engine.standby_pair import LEASE, Pair, signals_of, until, with_pair


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
