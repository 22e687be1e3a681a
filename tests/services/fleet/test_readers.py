"""Readers that never come back: listed, refused while alive, taken off the list; and what they find on their return."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.engine.errors import EngineError
from libs.messagebus.errors import FencedError, TrimmedError
from libs.messagebus.registry import registry_of
from libs.messagebus.transport import START, Commit, LeaseView, StoredSnapshot, Transport
from libs.testing.bus_contract import put
from services.fleet.readers import ReaderAliveError, deregister, lines_of
from tests.contract.buses import KINDS, Kind, empty_bus, server_url
from tests.libs.engine.echo_engine import trade
from tests.libs.engine.hosting import killed, make_host, until_quiet
from tests.libs.engine.hosting import put as put_events

Scenario = Callable[[Transport], Awaitable[None]]
LEASE = 0.02


def on(kind: Kind, scenario: Scenario) -> None:
    async def main(url: str) -> None:
        async with empty_bus(url) as bus:
            await scenario(bus.transport)

    with server_url(kind) as url:
        asyncio.run(main(url))


async def two_readers(transport: Transport) -> list[str]:
    """Both have two snapshots; ``quick`` is past everything, ``gone`` read one of ten entries. Returns entry ids."""
    for name in ("gone", "quick"):
        await transport.acquire(name, ["s"])
    await put(transport, "s", *(bytes([index]) for index in range(10)))
    ids = [entry.entry_id for entry in await transport.read({"s": START}, 20, 0)]
    for name, reached in (("gone", ids[0]), ("quick", ids[9])):
        for number in (1, 2):
            await transport.commit(Commit(name, 1, number, {"s": reached}, [], b"j"))
            await transport.save_snapshot(name, 1, StoredSnapshot(number, b""), {"s": reached})
    return ids


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_is_gone_holds_trimming_back_until_it_is_deregistered(kind: Kind) -> None:
    async def scenario(transport: Transport) -> None:
        ids = await two_readers(transport)
        removed = await transport.trim({"s": 0})
        assert [entry.entry_id for entry in await transport.read_range("s", START, ids[9], 20)] == ids[1:]
        assert "reader 'gone' is deregistered after 2 commits: its 1 streams" in await deregister(
            transport, "gone", LEASE
        )
        assert removed + await transport.trim({"s": 0}) >= 10
        assert await transport.read_range("s", START, ids[9], 20) == []
        assert (await transport.quiescence(["quick", "gone"])).quiet
        assert "deregistered already" in await deregister(transport, "gone", LEASE)

    on(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_that_was_only_frozen_commits_no_more_and_may_come_back(kind: Kind) -> None:
    async def scenario(transport: Transport) -> None:
        ids = await two_readers(transport)
        await deregister(transport, "gone", LEASE)
        with pytest.raises(FencedError):
            await transport.commit(Commit("gone", 1, 3, {"s": ids[1]}, [], b"j"))
        lease = await transport.acquire("gone", ["s"])
        assert (lease.epoch, lease.commits, lease.positions) == (3, 2, {"s": ids[0]})
        assert [snapshot.number for snapshot in await transport.load_snapshots("gone")] == [2, 1]
        await transport.trim({"s": 0})  # it reads again, so its entries are kept again
        assert len(await transport.read({"s": ids[0]}, 20, 0)) == 9

    on(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_alive_is_refused(kind: Kind) -> None:
    async def scenario(transport: Transport) -> None:
        await two_readers(transport)

        async def live() -> None:
            while True:
                await transport.renew("gone", 1)
                await asyncio.sleep(0)

        living = asyncio.create_task(live())
        try:
            with pytest.raises(
                ReaderAliveError, match=r"reader 'gone' must be stopped .* was alive .epoch 1, 2 commits"
            ):
                await deregister(transport, "gone", LEASE)
        finally:
            living.cancel()
        assert all(facts.streams for facts in await registry_of(transport).readers())

    on(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_was_started_meanwhile_is_not_taken_off(kind: Kind) -> None:
    async def scenario(transport: Transport) -> None:
        await two_readers(transport)
        await transport.acquire("gone", ["s"])
        with pytest.raises(FencedError, match="epoch of 'gone' must be 2, was 1"):
            await registry_of(transport).deregister("gone", 1)
        with pytest.raises(FencedError):
            await registry_of(transport).deregister("nobody", 0)
        with pytest.raises(EngineError, match="reader must be one of gone, quick, was 'nobody'"):
            await deregister(transport, "nobody", LEASE)

    on(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_the_list_says_who_is_behind_and_who_holds_back(kind: Kind) -> None:
    async def scenario(transport: Transport) -> None:
        await two_readers(transport)
        await transport.acquire("young", ["s", "t"])
        await deregister(transport, "gone", LEASE)
        await transport.acquire("late", ["s"])
        _, gone, late, quick, young = await lines_of(transport)
        assert gone.split() == ["gone", "2", "2", "deregistered;", "it", "holds", "nothing", "back"]
        assert late.split()[:3] == ["late", "1", "0"]
        assert "1 streams, s; has fewer than two snapshots and holds everything back" in late
        assert quick.endswith("1 streams, none")
        assert "2 streams, s; has fewer" in young

    on(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_that_comes_back_to_trimmed_input_refuses_to_guess(kind: Kind) -> None:
    async def scenario(transport: Transport) -> None:
        running = asyncio.create_task((host := make_host(transport)).run())
        for index in range(4):
            await put_events(transport, trade(index), sequence=index)
            await until_quiet(transport)  # type: ignore[arg-type]
            if index < 2:
                await host.snapshot_now()
        await killed(running)
        await deregister(transport, "echo", LEASE)
        await transport.trim({"market:normal": 0})
        with pytest.raises(
            TrimmedError, match=r"commit \d of 'echo' needs 1 entries of 'market:normal'.*was trimmed past"
        ):
            await make_host(transport).run()

    on(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_gave_up_its_lease_need_not_be_watched(kind: Kind) -> None:
    async def scenario(transport: Transport) -> None:
        await two_readers(transport)
        await transport.release("gone", 1)
        assert await transport.watch("gone") == LeaseView(1, 0, 2, True)
        async with asyncio.timeout(20):
            await deregister(transport, "gone", lease_seconds=3_600.0)

    on(kind, scenario)
