"""One process in one event loop: start, controls, orderly end, death of a task, ports."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from libs.clock import LiveClock
from libs.contracts import topics
from libs.contracts.system import EngineStateChanged, HeartbeatSent
from libs.contracts.topics import CODEC
from libs.engine.component import Adapter
from libs.engine.process import Process, ProcessFailed
from libs.engine.server import PortUnavailable
from libs.engine.settings import BusSettings
from libs.engine.tailing import TailContext, TailService, TailWork
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import START
from tests.libs.engine.echo_service import EchoSettings
from tests.libs.engine.running import SETTINGS, Session, component_of, process_of, run_while


class _Waiting:
    """An adapter that works until it is told to stop, and notes that it was."""

    name = "source"

    def __init__(self) -> None:
        self.ended = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


class _Failing:
    name = "source"

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def run(self) -> None:
        if self._error is not None:
            raise self._error


def test_a_process_serves_beats_ends_in_order_and_leaves_a_snapshot() -> None:
    source = _Waiting()
    process, transport = process_of(component_of(source))

    async def use(session: Session) -> None:
        await session.until_well()
        answer = await session.client.post("/echo/cash/5")
        assert answer.json()["balance"] == "5"
        refused = await session.client.post("/echo/cash/-50")
        assert (refused.status_code, refused.json()["code"]) == (409, "overdraft")
        beats = [event for event in await session.published("system:low") if isinstance(event, HeartbeatSent)]
        assert {(beat.engine, beat.epoch, beat.http_port) for beat in beats[1:]} == {
            ("echo", 1, session.process.members["echo"].port)
        }

    run_while(use, process, transport)
    assert source.ended
    assert process.members["echo"].view.vitals().state == "stopped"

    async def left() -> None:
        snapshots = await transport.load_snapshots("echo")
        assert snapshots[0].number == 3  # the start, the deposit and the refusal
        states = [
            (event.previous_state, event.state)
            for entry in await transport.read({topics.ENGINE_STATE.stream: START}, 100, 0)
            for event in CODEC.decode(entry.data).events
            if isinstance(event, EngineStateChanged)
        ]
        assert states == [("starting", "running"), ("running", "stopped")]

    asyncio.run(left())


def test_pause_holds_commands_and_resume_lets_them_through() -> None:
    process, transport = process_of(component_of())

    async def use(session: Session) -> None:
        await session.until_well()
        paused = (await session.client.post("/control/pause", json={"reason": "lunch"})).json()
        assert (paused["previous_state"], paused["state"], paused["actor"]) == ("running", "paused", "local")
        health = await session.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "paused")
        assert health.json()["degraded_reasons"] == ["paused: lunch (local)"]
        deposit = asyncio.create_task(session.client.post("/echo/cash/5"))
        snapshot = (await session.client.post("/control/snapshot", json={})).json()
        assert snapshot["snapshot_number"] == 1
        assert not deposit.done()
        resumed = (await session.client.post("/control/resume", json={})).json()
        assert (resumed["previous_state"], resumed["state"]) == ("paused", "running")
        assert (await deposit).json()["balance"] == "5"
        told = [event for event in await session.published("system:high") if isinstance(event, EngineStateChanged)]
        assert [event.state for event in told] == ["running", "paused", "paused", "running"]

    run_while(use, process, transport)


@pytest.mark.parametrize(
    ("adapter", "text"),
    [
        (_Failing(OSError("the source went away")), "task 'echo.source' died: OSError: the source went away"),
        (_Failing(KeyError("bar")), "task 'echo.source' died: KeyError: 'bar'"),
    ],
)
def test_a_dead_task_ends_the_process_and_is_named(adapter: Adapter, text: str) -> None:
    process, transport = process_of(component_of(adapter))

    async def use(session: Session) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ProcessFailed) as caught:
        run_while(use, process, transport)
    assert str(caught.value) == text


def test_an_adapter_that_is_finished_is_no_fault() -> None:
    process, transport = process_of(component_of(_Failing(None)))

    async def use(session: Session) -> None:
        await session.until_well()
        tasks = {task["name"]: task["state"] for task in (await session.client.get("/status")).json()["tasks"]}
        assert tasks["echo.source"] == "finished"

    run_while(use, process, transport)


def test_a_second_host_of_an_engine_fences_out_the_first() -> None:
    first, transport = process_of(component_of())
    second = Process([component_of()], SETTINGS, transport, LiveClock(), bus=BusSettings())

    async def use(session: Session) -> None:
        other = asyncio.create_task(second.run())
        await second.started.wait()

        async def has_taken_over() -> bool:
            return second.members["echo"].view.vitals().epoch == 2

        await session.until(has_taken_over)
        await session.client.post("/echo/cash/5", timeout=20)
        second.stop()
        await other

    with pytest.raises(ProcessFailed, match=r"task 'echo\.host' died: FencedError"):
        run_while(use, first, transport)


def test_a_busy_port_is_one_sentence_and_nothing_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        process, transport = process_of(component_of(port=port))
        text = f"port {port} of engine 'echo' must be free, was in use on 127.0.0.1; "
        text += "stop the other process or set ECHO_PORT"
        with pytest.raises(PortUnavailable) as caught:
            asyncio.run(process.run())
        assert str(caught.value) == text
        assert transport.quiescence_nowait(["echo"]).waiting_for == ["echo"]


def test_an_address_of_another_machine_is_refused_in_one_sentence() -> None:
    settings = EchoSettings(host="192.0.2.1", port=0)
    process, _ = process_of(replace(component_of(), settings=settings))
    with pytest.raises(PortUnavailable, match=r"must be able to listen on 192\.0\.2\.1:0, was refused .* ECHO_HOST"):
        asyncio.run(process.run())


def test_a_service_without_an_engine_has_the_same_surface() -> None:
    transport, broken = MemoryTransport(), list[str]()

    def make(context: TailContext) -> TailWork:
        progress = context.host.task("fanout", max_silence_seconds=30.0)
        progress()
        return TailWork([_Waiting()], counters=lambda: {"connections": 2}, faults=lambda: broken)

    service = TailService("web", make, EchoSettings(port=0), upstreams=("features",))
    process = Process([], SETTINGS, transport, LiveClock(), services=[service])

    async def use(session: Session) -> None:
        await session.until_well()
        body = (await session.client.get("/status")).json()
        assert (body["engine"], body["role"], body["counters"]) == ("web", "tail", {"connections": 2})
        assert {"web.fanout", "web.source", "web.http"} <= {task["name"] for task in body["tasks"]}
        paused = (await session.client.post("/control/pause", json={"reason": "drill"})).json()
        assert (paused["previous_state"], paused["state"]) == ("running", "paused")
        assert (await session.client.post("/control/resume", json={})).json()["state"] == "running"
        refused = await session.client.post("/control/snapshot", json={})
        assert (refused.status_code, refused.json()["code"]) == (409, "no-state")
        broken.append("certificate expired")
        assert (await session.client.get("/health")).json()["degraded_reasons"] == ["certificate expired"]

    run_while(use, process, transport)
