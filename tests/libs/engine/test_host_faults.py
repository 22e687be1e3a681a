"""The host when its transport, its engine or its operator does the unexpected."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.contracts.market import StepClosed
from libs.messagebus.errors import FencedError, StateLostError, TransportError, TrimmedError
from libs.messagebus.memory import MemoryTransport
from libs.testing.faulty_transport import FaultyTransport
from tests.libs.engine.echo_engine import EchoEngine, trade
from tests.libs.engine.hosting import killed, make_host, put, stopped, strengths, until_quiet
from tests.libs.engine.instant_loop import run_instantly


def test_a_trimmed_input_ends_the_host_with_that_error() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        for index in range(3):
            await put(transport, trade(index), sequence=index)
        await transport.trim({"market:normal": 1})
        host = make_host(transport)
        with pytest.raises(TrimmedError, match=r"stream 'market:normal' was trimmed up to entry 2-0"):
            await host.run()
        assert host.state == "failed"

    run_instantly(main())


def test_an_engine_that_cannot_start_fails_and_leaves_nothing_behind() -> None:
    class Broken(EchoEngine):
        def on_start(self) -> None:
            super().on_start()
            raise ValueError("no strategy is configured")

    async def main() -> None:
        transport = MemoryTransport()
        host = make_host(transport, Broken)
        with pytest.raises(ValueError, match="no strategy is configured"):
            await host.run()
        assert host.state == "failed"
        assert await strengths(transport) == []
        mended = make_host(transport)
        running = asyncio.create_task(mended.run())
        await put(transport, trade(1), trade(2), sequence=0)
        await until_quiet(transport)
        await stopped(mended, running)
        assert await strengths(transport) == [0.0, 2.0]

    run_instantly(main())


@pytest.mark.parametrize("fault", ["refused", "reply_lost"])
def test_a_host_killed_in_its_first_commit_starts_once(fault: Any) -> None:
    async def main() -> None:
        transport = MemoryTransport()
        faulty = FaultyTransport(transport)
        faulty.fail("commit", fault)
        running = asyncio.create_task(make_host(faulty).run())
        while not faulty.calls["commit"]:
            await asyncio.sleep(0)
        await killed(running)
        assert await strengths(transport) == ([0.0] if fault == "reply_lost" else [])
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        await put(transport, trade(1), trade(2), sequence=0)
        await until_quiet(transport)
        await stopped(host, running)
        assert await strengths(transport) == [0.0, 2.0]

    run_instantly(main())


def test_a_killed_host_leaves_no_commit_running() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        faulty = FaultyTransport(transport)
        host = make_host(faulty)
        running = asyncio.create_task(host.run())
        await until_quiet(transport)
        faulty.fail("commit", *["refused"] * 1_000)
        await put(transport, trade(1), trade(2), sequence=0)
        while faulty.calls["commit"] < 3:
            await asyncio.sleep(0.01)
        await put(transport, trade(3), sequence=2)  # handled while the commit before is still tried
        await asyncio.sleep(0.01)
        await killed(running)
        assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]
        assert await strengths(transport) == [0.0]

    run_instantly(main())


def test_a_lag_shows_while_a_commit_without_input_is_refused() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        faulty = FaultyTransport(transport)
        host = make_host(faulty)
        running = asyncio.create_task(host.run())
        await put(transport, StepClosed(5, "mark", 1), sequence=0)
        await until_quiet(transport)
        await asyncio.sleep(2)
        assert host.lag_entries == 0
        faulty.fail("commit", *["refused"] * 1_000)
        host._clock.advance_to(3_500)  # type: ignore[attr-defined]  # the host's own clock: two timers are due
        while not faulty.calls["commit"] > 3:
            await asyncio.sleep(1)
        assert host.committer.behind == []
        assert host.lag_entries == 1
        await killed(running)

    run_instantly(main())


def test_a_host_paused_while_it_recovers_stays_paused() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        await put(transport, trade(1), trade(2), sequence=0)
        host = make_host(transport)
        running = asyncio.create_task(host.run())
        host.pause()
        await asyncio.sleep(1)
        assert host.state == "paused"
        assert await strengths(transport) == [0.0]
        host.resume()
        await until_quiet(transport)
        assert host.state == "running"
        await stopped(host, running)

    run_instantly(main())


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_replay_told_to_begin_later_goes_on_where_it_was(snapshot: bool) -> None:
    async def main() -> None:
        transport = MemoryTransport()
        host = make_host(transport, follow_events=True, start_ns=100)
        running = asyncio.create_task(host.run())
        await put(transport, trade(150), trade(200), sequence=0)
        await until_quiet(transport)
        if snapshot:
            await stopped(host, running)
        else:
            await killed(running)
        again = make_host(transport, follow_events=True, start_ns=9_000)
        running = asyncio.create_task(again.run())
        await put(transport, trade(250), trade(260), sequence=2)
        await until_quiet(transport)
        assert again.core.clock.timestamp_ns() == 260
        await stopped(again, running)
        assert await strengths(transport) == [0.0, 2.0, 4.0]

    run_instantly(main())


def test_a_replay_begins_at_its_start_time() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        host = make_host(transport, follow_events=True, start_ns=100)
        running = asyncio.create_task(host.run())
        await until_quiet(transport)
        await asyncio.sleep(1)
        assert host.core.clock.timestamp_ns() == 100
        await stopped(host, running)

    run_instantly(main())


@pytest.mark.parametrize("error", [FencedError, StateLostError])
def test_a_commit_that_can_never_land_ends_the_host_and_what_was_handled_meanwhile_is_lost(error: Any) -> None:
    class Refusing(FaultyTransport):
        fatal = False

        async def commit(self, commit: Any) -> None:
            if self.fatal:
                self.calls["commit"] += 1
                await self.open.wait()
                raise error("not yours any more")
            await super().commit(commit)

    async def main() -> None:
        transport = MemoryTransport()
        faulty = Refusing(transport)
        host = make_host(faulty)
        running = asyncio.create_task(host.run())
        await until_quiet(transport)
        before = faulty.calls["commit"]
        faulty.fatal = True
        faulty.open.clear()
        await put(transport, trade(1), trade(2), sequence=0)
        await put(transport, trade(3), trade(4), sequence=2)
        faulty.open.set()
        with pytest.raises(error, match="not yours any more"):
            await running
        assert faulty.calls["commit"] == before + 1
        assert host.state == "failed"
        assert await strengths(transport) == [0.0]

    run_instantly(main())


def test_a_snapshot_refused_for_a_while_is_taken_after_all() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        faulty = FaultyTransport(transport)
        host = make_host(faulty)
        running = asyncio.create_task(host.run())
        await until_quiet(transport)
        faulty.fail("save_snapshot", "refused", "reply_lost", "refused")
        assert await host.snapshot_now() == 1
        assert [snapshot.number for snapshot in await transport.load_snapshots("echo")] == [1]
        faulty.down = True
        with pytest.raises(TransportError):
            await faulty.ping()
        await asyncio.sleep(5)
        faulty.down = False
        await put(transport, trade(1), trade(2), sequence=0)
        await until_quiet(transport)
        await stopped(host, running)
        assert [snapshot.number for snapshot in await transport.load_snapshots("echo")] == [2, 1]

    run_instantly(main())
