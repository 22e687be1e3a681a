"""A standby as a process: what it says of itself, what it refuses, and what it does once it has taken over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from libs.clock import LiveClock
from libs.contracts import topics
from libs.contracts.system import EngineStateChanged, HeartbeatSent
from libs.contracts.topics import CODEC
from libs.engine.arguments import Arguments, parse_arguments, with_port
from libs.engine.assembly import open_ports
from libs.engine.component import Adapter, Component
from libs.engine.errors import SettingsError
from libs.engine.heartbeat import HeartbeatWatch
from libs.engine.process import Process
from libs.engine.run import check_standby
from libs.engine.server import PortUnavailable
from libs.engine.settings import BusSettings, ProcessSettings
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import START
from services.websocket.__main__ import services as websocket_services
from tests.libs.engine.echo_service import EchoSettings
from tests.libs.engine.running import LastingTransport, component_of

SETTINGS = ProcessSettings(auth="off", lease_seconds=0.4)


class _Source:
    """An adapter that notes that it runs."""

    name = "source"

    def __init__(self) -> None:
        self.runs = False

    async def run(self) -> None:
        self.runs = True
        await asyncio.Event().wait()


@asynccontextmanager
async def running(
    bus: MemoryTransport, *components: Component, standby: bool = False
) -> AsyncIterator[tuple[Process, httpx.AsyncClient, asyncio.Task[None]]]:
    process = Process(
        list(components), SETTINGS, bus, LiveClock(), bus=BusSettings(heartbeat_seconds=0.05), standby=standby
    )
    task = asyncio.create_task(process.run())
    await process.started.wait()
    port = next(iter(process.members.values())).port
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield process, client, task
    process.stop()
    await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.01)


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health/ready")).status_code == 200


async def follows(client: httpx.AsyncClient, commits: int) -> bool:
    fact = (await client.get("/status")).json()["standby"]
    return fact is not None and fact["follows_commit"] >= commits and fact["lag_commits"] == 0


async def published(bus: MemoryTransport, stream: str) -> list[Event]:
    return [event for entry in await bus.read({stream: START}, 10_000, 0) for event in CODEC.decode(entry.data).events]


def with_pair(
    use: Callable[[MemoryTransport, httpx.AsyncClient, httpx.AsyncClient, asyncio.Task[None]], Awaitable[None]],
    source: Adapter | None = None,
) -> None:
    """Use the clients of a primary that is ready and of its standby."""

    async def main() -> None:
        bus = LastingTransport()
        async with running(bus, component_of()) as (_, primary, task):
            await until(lambda: ready(primary))
            async with running(bus, component_of(source), standby=True) as (_, standby, _):
                await until(lambda: follows(standby, 1))
                await use(bus, primary, standby, task)

    asyncio.run(main())


def test_it_says_that_it_stands_by_whom_it_follows_and_how_far_behind_it_is() -> None:
    async def use(bus: MemoryTransport, primary: httpx.AsyncClient, standby: httpx.AsyncClient, _: Any) -> None:
        await primary.post("/echo/cash/5")
        await until(lambda: follows(standby, 2))
        health = await standby.get("/health")
        assert (health.status_code, health.json()["status"], health.json()["epoch"]) == (200, "standby", 0)
        answer = await standby.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["waiting_for"] == ["engine stands by for its primary"]
        status = (await standby.get("/status")).json()
        assert status["standby"]["primary_epoch"] == 1
        assert status["standby"]["lease_seconds"] == 0.4
        assert status["journal"] == (await primary.get("/status")).json()["journal"]
        assert 'nautilus_engine_health_status{engine="echo"} 1.0' in (await standby.get("/metrics")).text

        async def primary_knows() -> bool:
            return bool((await primary.get("/status")).json()["has_standby"])

        await until(primary_knows)
        assert (await primary.get("/status")).json()["standby"] is None

    with_pair(use)


def test_commands_are_refused_and_not_sent() -> None:
    async def use(bus: MemoryTransport, primary: httpx.AsyncClient, standby: httpx.AsyncClient, _: Any) -> None:
        refused = await standby.post("/echo/cash/7")
        assert (refused.status_code, refused.json()["code"]) == (503, "standby")
        assert "stands by for its primary" in refused.json()["detail"]
        assert await published(bus, topics.RECORD_CASH_FLOW.stream) == []
        for path in ("pause", "resume", "snapshot"):
            answer = await standby.post(f"/control/{path}", json={})
            assert (answer.status_code, answer.json()["code"]) == (409, "not-running")
            assert "was standby" in answer.json()["detail"]
        assert (await primary.post("/echo/cash/5")).json()["balance"] == "5"

    with_pair(use)


def test_after_the_takeover_it_serves_and_the_fleet_is_told_once() -> None:
    source = _Source()

    async def use(
        bus: MemoryTransport, primary: httpx.AsyncClient, standby: httpx.AsyncClient, task: asyncio.Task[None]
    ) -> None:
        await primary.post("/echo/cash/5")
        assert not source.runs
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: ready(standby))
        assert (await standby.post("/echo/cash/7")).json()["balance"] == "12"
        assert source.runs
        status = (await standby.get("/status")).json()
        assert (status["epoch"], status["standby"]) == (2, None)

        async def told() -> bool:
            changes = [e for e in await published(bus, "system:high") if isinstance(e, EngineStateChanged)]
            return changes[-1].previous_state == "standby"

        await until(told)
        changes = [e for e in await published(bus, "system:high") if isinstance(e, EngineStateChanged)]
        assert [(change.previous_state, change.state, change.reason) for change in changes] == [
            ("starting", "running", ""), ("standby", "running", "took over under epoch 2"),
        ]  # fmt: skip

    with_pair(use, source)


def test_a_standby_that_ends_tells_nobody_that_the_engine_has_stopped() -> None:
    async def main() -> None:
        bus = LastingTransport()
        async with running(bus, component_of()) as (_, primary, _):
            await until(lambda: ready(primary))
            async with running(bus, component_of(), standby=True) as (_, standby, _):
                await until(lambda: follows(standby, 1))
            states = [e.state for e in await published(bus, "system:high") if isinstance(e, EngineStateChanged)]
            assert states == ["running"]
            assert await ready(primary)

    asyncio.run(main())


def test_heartbeats_of_a_standby_are_no_sign_of_life_of_the_engine() -> None:
    watch = HeartbeatWatch()
    watch.note(HeartbeatSent(1, "echo", "echo-1", 0, "v", "standby", 0, 8900))
    assert watch.upstreams(["echo"])[0].age_seconds is None
    watch.note(HeartbeatSent(1, "echo", "echo-2", 1, "v", "running", 0, 8900))
    assert watch.upstreams(["echo"])[0].age_seconds is not None


def test_the_engines_of_one_process_are_taken_over_together() -> None:
    async def main() -> None:
        bus = LastingTransport()
        second = Component("second", _second_engine(), None)
        async with running(bus, component_of(), second, standby=True) as (process, _, _):
            hosts = [member.host for member in process.members.values()]
            assert hosts[1] is not None
            assert hosts[1].standby is not None
            assert not hosts[1].standby.may_lead()
            await until(lambda: _are_running(hosts))
            assert hosts[1].standby.may_lead()

    asyncio.run(main())


async def _are_running(hosts: list[Any]) -> bool:
    return all(host.state == "running" for host in hosts)


def _second_engine() -> Any:
    from tests.libs.engine.echo_engine import EchoEngine

    return type("SecondEngine", (EchoEngine,), {"name": "second"})


# -- the command line -----------------------------------------------------------------------------


def test_options_are_read() -> None:
    assert parse_arguments([]) == Arguments(False, None)
    assert parse_arguments(["--standby", "--port", "8901"]) == Arguments(True, 8901)
    assert parse_arguments(["--port=0"]) == Arguments(False, 0)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--standbye"], "was '--standbye'"),
        (["--standby=yes"], "was '--standby=yes'"),
        (["--port"], "was ''"),
        (["--port", "x1"], "was 'x1'"),
        (["--port", "65536"], "was '65536'"),
        (["8901"], "was '8901'"),
    ],
)
def test_what_is_no_option_is_refused_with_the_options_there_are(given: list[str], named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_arguments(given)
    assert named in str(refused.value)
    assert "--standby" in str(refused.value)


def test_the_port_is_that_of_the_first_surface_and_shown_as_such() -> None:
    components = [Component("inner", _second_engine(), None), component_of(port=8900), component_of(port=8950)]
    changed = with_port(components, 8901)
    assert [component.port for component in changed] == [None, 8901, 8950]
    assert isinstance(changed[1].settings, EchoSettings)
    assert changed[1].settings.port == 8901
    assert [component.port for component in with_port(components, None)] == [None, 8900, 8950]


def test_a_standby_finds_a_port_beside_its_primary_unless_one_was_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        usual = replace(component_of(port=port), settings=EchoSettings())  # nobody has chosen: the default
        with pytest.raises(PortUnavailable):
            open_ports([usual], [])
        with capture_logs() as lines, open_ports([usual], [], standby=True)["echo"] as found:
            assert found.getsockname()[1] not in (0, port)
        assert [line["event"] for line in lines] == ["port_taken"]
        with pytest.raises(PortUnavailable, match=f"port {port} of engine 'echo' must be free"):
            open_ports(with_port([usual], port), [], standby=True)


def test_what_has_no_state_has_no_standby_and_a_bus_of_one_process_none_either() -> None:
    with pytest.raises(SettingsError, match="websocket must be started without --standby"):
        check_standby(Arguments(standby=True), SETTINGS, websocket_services())
    memory = ProcessSettings(auth="off", redis_url="memory://")
    with pytest.raises(SettingsError, match="REDIS_URL must name a server"):
        check_standby(Arguments(standby=True), memory, [])
    check_standby(Arguments(), memory, websocket_services())
