"""Recovery: which snapshot is used, what is refused, and that a failing transport makes nothing happen twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from libs.contracts.market import StepClosed
from libs.engine.errors import SnapshotDamagedError, SnapshotError
from libs.engine.host import Host
from libs.engine.snapshot import restore_image
from libs.messagebus.errors import TrimmedError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import StoredSnapshot
from libs.testing.faulty_transport import FaultyTransport
from tests.libs.engine.echo_engine import trade
from tests.libs.engine.hosting import killed, make_host, put, stopped, strengths, until_quiet
from tests.libs.engine.instant_loop import run_instantly

Scenario = Callable[[MemoryTransport, bytes], Awaitable[None]]
#: What six trades of one symbol publish, and the four that come before the kill.
STRENGTHS = [0.0, 2.0, 4.0, 6.0]


def after_a_kill(scenario: Scenario) -> None:
    """Snapshots at commits 2 and 4, five commits, then a kill; hands over the state the dead host had."""

    async def main() -> None:
        transport = MemoryTransport()
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        for index in range(5):
            await put(transport, trade(index), sequence=index)
            await until_quiet(transport)
            if index in (0, 2):
                await host.snapshot_now()
        state = host.core.encode_state()
        await killed(running)
        await scenario(transport, state)

    run_instantly(main())


async def recovered(transport: Any) -> Host:
    """A host after its recovery, killed before it did anything else; raises what stopped it."""
    host = make_host(transport)
    running = asyncio.create_task(host.run())
    while host.state == "starting" and not running.done():
        await asyncio.sleep(0.01)
    if host.state == "failed":
        await running
    await killed(running)
    return host


def snapshots_of(transport: MemoryTransport) -> list[tuple[StoredSnapshot, dict[str, str]]]:
    return transport._readers["echo"].snapshots


def damage(transport: MemoryTransport, which: int) -> None:
    snapshot, bound = snapshots_of(transport)[which]
    flipped = bytes([*snapshot.data[:-1], snapshot.data[-1] ^ 1])
    snapshots_of(transport)[which] = (StoredSnapshot(snapshot.number, flipped), bound)


def test_the_newest_snapshot_is_used() -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        host = await recovered(transport)
        assert (host.replayed, host.core.encode_state()) == (2, state)

    after_a_kill(scenario)


def test_the_older_snapshot_is_used_when_the_newest_is_damaged_and_replaced_later() -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        damage(transport, 0)
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        await put(transport, trade(5), sequence=5)
        await until_quiet(transport)
        assert host.replayed == 4
        assert await strengths(transport) == STRENGTHS
        await stopped(host, running)
        damage(transport, 1)
        assert (await recovered(transport)).core.encode_state() == host.core.encode_state() != state

    after_a_kill(scenario)


@pytest.mark.parametrize("kept", [1, 2], ids=["the only one", "both"])
def test_without_a_sound_snapshot_the_whole_journal_is_replayed(kept: int) -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        del snapshots_of(transport)[kept:]
        for which in range(kept):
            damage(transport, which)
        host = await recovered(transport)
        assert (host.replayed, host.core.encode_state()) == (6, state)
        assert await strengths(transport) == STRENGTHS[:3]

    after_a_kill(scenario)


def test_damaged_snapshots_are_refused_when_the_journal_was_trimmed() -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        await transport.trim({})
        damage(transport, 0)
        damage(transport, 1)
        expected = r"snapshot 4 of 'echo' is damaged.*; snapshot 2 .* is damaged.*begin at commit 1, was 3; restore"
        with pytest.raises(SnapshotError, match=expected):
            await recovered(transport)

    after_a_kill(scenario)


def test_a_snapshot_torn_anywhere_is_damaged() -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        whole, bound = snapshots_of(transport)[0]
        for length in range(len(whole.data)):
            snapshots_of(transport)[0] = (StoredSnapshot(whole.number, whole.data[:length]), bound)
            host = make_host(transport)
            with pytest.raises(SnapshotDamagedError):
                restore_image(host.core, snapshots_of(transport)[0][0])
        assert (await recovered(transport)).replayed == 4

    after_a_kill(scenario)


def test_a_snapshot_of_another_layout_is_told_apart() -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        class Other(make_host(transport).engine.__class__):  # type: ignore[misc]
            state_type = StepClosed

        host = make_host(transport, Other)
        with pytest.raises(SnapshotError, match="cannot be read by this code: its state has layout"):
            await host.run()

    after_a_kill(scenario)


def test_a_snapshot_ahead_of_the_commits_is_not_used() -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        reader = transport._readers["echo"]
        reader.commits, reader.journal = 3, reader.journal[:-3]  # a server that lost what came last
        host = await recovered(transport)
        assert (host.replayed, host.core.sequence) == (1, 2)

    after_a_kill(scenario)


@pytest.mark.parametrize("lost", [0, 1], ids=["first", "last"])
def test_a_gap_in_the_journal_is_refused(lost: int) -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        journal = transport._readers["echo"].journal
        entries = [entry for entry in journal if entry[0] > 4]
        journal.remove(entries[lost])
        with pytest.raises(TrimmedError, match=rf"journal of 'echo' must continue at {5 + lost}, was (6|at its end)"):
            await recovered(transport)

    after_a_kill(scenario)


def test_trimmed_input_is_refused() -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        stream = transport._streams["market:normal"]
        del stream.entries[:4]
        stream.first += 4
        with pytest.raises(TrimmedError, match=r"commit 5 of 'echo' needs 1 entries of 'market:normal' from 4-0"):
            await recovered(transport)

    after_a_kill(scenario)


@pytest.mark.parametrize("method", ["acquire", "load_snapshots", "journal", "read_range"])
def test_a_transport_that_fails_amid_recovery_makes_nothing_happen_twice(method: str) -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        faulty = FaultyTransport(transport)
        faulty.fail(method, "refused", "reply_lost", None, "reply_lost", "refused", "refused")
        host = make_host(faulty)
        running = asyncio.create_task(host.run())
        while host.state == "starting":
            await asyncio.sleep(0.01)
        assert (host.replayed, host.core.encode_state()) == (2, state)
        await put(transport, trade(5), sequence=5)
        await until_quiet(transport)
        await stopped(host, running)
        assert faulty.calls[method] >= 3
        assert await strengths(transport) == STRENGTHS

    after_a_kill(scenario)


def test_a_host_killed_amid_recovery_recovers_the_next_time() -> None:
    async def scenario(transport: MemoryTransport, state: bytes) -> None:
        faulty = FaultyTransport(transport)
        for _ in range(3):
            faulty.fail("read_range", None, *["refused"] * 5)
            running = asyncio.create_task(make_host(faulty).run())
            await asyncio.sleep(0.1)
            assert not running.done()
            await killed(running)
            faulty._faults.clear()
        host = await recovered(transport)
        assert (host.core.encode_state(), host.committer.lease.epoch) == (state, 5)
        assert await strengths(transport) == STRENGTHS[:3]

    after_a_kill(scenario)


def test_trimming_leaves_what_either_snapshot_needs() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        states: list[bytes] = []
        for start in range(6):
            host = make_host(transport, trims={"market:normal": 0, "strategy:high": 0})
            running = asyncio.create_task(host.run())
            for index in range(start * 3, start * 3 + 3):
                await put(transport, trade(index), sequence=index)
                await until_quiet(transport)
                if index % 3 == 1:
                    await host.snapshot_now()
            states.append(host.core.encode_state())
            await killed(running)
            assert (await recovered(transport)).core.encode_state() == states[-1]
            if start:
                damage(transport, 0)
                assert (await recovered(transport)).core.encode_state() == states[-1]
                damage(transport, 0)  # flips the same bit back
        assert all(earlier != later for earlier, later in pairwise(states))
        assert len(transport._streams["market:normal"].entries) < 6
        assert len(transport._streams["strategy:high"].entries) <= 1

    run_instantly(main())


def test_the_clock_of_a_live_engine_is_what_the_journal_says() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        await put(transport, StepClosed(1_000, "mark", 1), sequence=0)
        await until_quiet(transport)
        for now in (1_700, 2_000, 3_300, 9_999):  # a timer each microsecond; two moments without one
            host._clock.advance_to(now)  # type: ignore[attr-defined]
            await put(transport, trade(now), sequence=now)
            await until_quiet(transport)
        state, timers = host.core.encode_state(), host.core.clock.timer_states()
        before = await strengths(transport)
        await killed(running)
        again = await recovered(transport)  # at a wall clock of 1000: it must not matter
        assert (again.core.encode_state(), again.core.clock.timer_states()) == (state, timers)
        assert again.core.clock.timestamp_ns() == 9_999
        assert max(before) == 8.0
        assert await strengths(transport) == before

    run_instantly(main())
