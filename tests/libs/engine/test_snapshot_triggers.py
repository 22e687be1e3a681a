"""When a snapshot is taken: after so many events, when asked, on the way out; never one that was already stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.engine.host import Host
from libs.engine.settings import ProcessSettings
from libs.messagebus.memory import MemoryTransport
from libs.testing.faulty_transport import FaultyTransport
from tests.libs.engine.echo_engine import trade
from tests.libs.engine.hosting import killed, make_host, put, stopped, until_quiet
from tests.libs.engine.instant_loop import run_instantly

Scenario = Callable[[FaultyTransport, Host], Awaitable[None]]


def while_running(scenario: Scenario, *, stop: bool = False, **settings: float) -> FaultyTransport:
    transport = FaultyTransport(MemoryTransport())

    async def main() -> None:
        host = make_host(transport, **settings)
        running = asyncio.create_task(host.run())
        await scenario(transport, host)
        await (stopped(host, running) if stop else killed(running))

    run_instantly(main())
    return transport


async def trades(transport: FaultyTransport, *counts: int) -> None:
    """One commit for each count of trades."""
    sequence = 0
    for count in counts:
        await put(transport, *(trade(sequence + each) for each in range(count)), sequence=sequence)
        sequence += count
        await until_quiet(transport)  # type: ignore[arg-type]


async def stored(transport: FaultyTransport) -> list[int]:
    return [snapshot.number for snapshot in await transport.inner.load_snapshots("echo")]


@pytest.mark.parametrize(
    ("every", "counts", "numbers", "saved"),
    [
        (10, (9,), [], 0),
        (10, (9, 1), [3], 1),
        (10, (25,), [2], 1),
        (10, (4, 4, 4, 4, 4, 4), [7, 4], 2),  # 12 events each: the count begins anew with each snapshot
        (1, (1, 1, 1), [4, 3], 3),
        (0, (500, 500), [], 0),
    ],
)
def test_so_many_events_make_a_snapshot(every: int, counts: tuple[int, ...], numbers: list[int], saved: int) -> None:
    async def scenario(transport: FaultyTransport, host: Host) -> None:
        await trades(transport, *counts)
        while transport.calls["save_snapshot"] < saved:
            await asyncio.sleep(0.01)
        assert await stored(transport) == numbers

    assert while_running(scenario, snapshot_events=every).calls["save_snapshot"] == saved


def test_a_snapshot_bounds_what_a_recovery_does_again() -> None:
    async def scenario(transport: FaultyTransport, host: Host) -> None:
        await trades(transport, *[1] * 95)
        again = make_host(transport)
        running = asyncio.create_task(again.run())
        while again.state == "starting":
            await asyncio.sleep(0.01)
        assert again.replayed == 5
        await killed(running)

    while_running(scenario, snapshot_events=10)


def test_time_makes_a_snapshot_only_when_something_changed() -> None:
    async def scenario(transport: FaultyTransport, host: Host) -> None:
        await trades(transport, 1, 1)
        while (await stored(transport))[:1] != [3]:
            await asyncio.sleep(0.01)
        before = transport.calls["save_snapshot"]
        await asyncio.sleep(5.0)
        assert transport.calls["save_snapshot"] == before

    while_running(scenario, snapshot_seconds=1e-9)


def test_asking_for_one_takes_it_now_even_while_paused() -> None:
    async def scenario(transport: FaultyTransport, host: Host) -> None:
        await trades(transport, 1)
        host.pause()
        assert await host.snapshot_now() == 2
        assert await stored(transport) == [2]

    while_running(scenario)


def test_the_last_act_of_a_stop_is_a_snapshot() -> None:
    async def scenario(transport: FaultyTransport, host: Host) -> None:
        await trades(transport, 1, 1)
        assert await stored(transport) == []

    transport = while_running(scenario, stop=True)
    assert asyncio.run(stored(transport)) == [3]


def test_a_process_takes_one_after_a_quarter_of_a_million_events_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ProcessSettings().snapshot_events == 250_000
    monkeypatch.setenv("NAUTILUS_SNAPSHOT_EVENTS", "0")
    monkeypatch.setenv("NAUTILUS_REPLAY_OTHER_CODE", "1")
    assert (ProcessSettings().snapshot_events, ProcessSettings().replay_other_code) == (0, True)
