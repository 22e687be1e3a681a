"""What a running host shows of itself: faults in its inputs, its engine and its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from libs.clock import LiveClock
from libs.contracts.risk import HaltChanged
from libs.contracts.system import HeartbeatSent
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.component import Component
from libs.engine.process import Process
from libs.engine.settings import BusSettings
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import Output
from tests.libs.engine.echo_engine import EchoEngine, trade
from tests.libs.engine.running import SETTINGS, Session, component_of, process_of, run_while


async def _put(transport: MemoryTransport, sequence: int, *events: Event) -> None:
    stream = REGISTRY.topic_of(events[0]).stream
    batch = RecordBatch("source", sequence, 0, list(events))
    await transport.append("source", sequence, len(events), [Output(stream, CODEC.encode(batch))])


class _Neighbour(EchoEngine):
    """A second engine of a process, as the paper venue is beside strategy."""

    name = "neighbour"


class _Faulty(EchoEngine):
    def status(self) -> Mapping[str, Any]:
        return {"ticks": 1, "faults": ["model store is unreadable"]}


async def _reasons(session: Session) -> list[str]:
    found: list[str] = (await session.client.get("/health")).json()["degraded_reasons"]
    return found


def test_a_dead_letter_is_named_counted_and_does_not_stop_the_engine() -> None:
    process, transport = process_of(component_of())

    async def use(session: Session) -> None:
        await session.until_well()
        await _put(transport, 0, trade(1), trade(2, price=-1.0), trade(3))

        async def is_told() -> bool:
            return any(reason.startswith("dead letters since the start: 1") for reason in await _reasons(session))

        await session.until(is_told)
        status = (await session.client.get("/status")).json()
        assert status["dead_letters"] == 1
        assert status["counters"]["counts"] == {"AAA.X": 2}
        tick = next(source for source in status["inputs"] if source["topic"] == "marketdata.tick")
        assert tick["events"] == 3
        assert 0 <= tick["age_seconds"] < 10
        counted = (await session.client.get("/metrics/json")).json()
        assert counted["nautilus_dead_letters_total{engine=echo}"] == 1
        assert counted["nautilus_events_in_total{engine=echo,topic=marketdata.tick}"] == 3

    run_while(use, process, transport)


def test_a_required_input_that_does_not_come_is_a_fault() -> None:
    component = replace(component_of(), max_input_age_seconds={"marketdata.tick": 0.05})
    process, transport = process_of(component)

    async def use(session: Session) -> None:
        async def is_told() -> bool:
            return await _reasons(session) == ["input marketdata.tick has not arrived since the start"]

        await session.until(is_told)

    run_while(use, process, transport)


def test_what_the_engine_says_is_broken_makes_it_degraded() -> None:
    process, transport = process_of(replace(component_of(), make_engine=_Faulty))

    async def use(session: Session) -> None:
        async def is_told() -> bool:
            return await _reasons(session) == ["model store is unreadable"]

        await session.until(is_told)
        assert "faults" not in (await session.client.get("/health")).json()["counters"]

    run_while(use, process, transport)


def test_an_engine_without_a_surface_shows_its_metrics_on_its_neighbours() -> None:
    transport = MemoryTransport()
    neighbour = Component("neighbour", _Neighbour, None)
    process = Process([component_of(), neighbour], SETTINGS, transport, LiveClock(), bus=BusSettings())

    async def use(session: Session) -> None:
        await session.until_well()
        text = (await session.client.get("/metrics")).text
        assert text.count("# TYPE nautilus_engine_health_status gauge") == 1
        assert 'nautilus_engine_health_status{engine="echo"} 1.0' in text
        assert 'nautilus_commit_seconds_count{engine="neighbour"}' in text
        tasks = {task["name"] for task in (await session.client.get("/status")).json()["tasks"]}
        assert "echo.host" in tasks
        assert "neighbour.host" not in tasks

    run_while(use, process, transport)


def test_a_halt_reaches_every_surface_of_the_fleet() -> None:
    process, transport = process_of(component_of())

    async def use(session: Session) -> None:
        await session.until_well()
        await _put(transport, 0, HaltChanged(1, True, "all", "", "drill", "ann"))

        async def is_halted() -> bool:
            return (await session.client.get("/health")).json()["halted"] is True

        await session.until(is_halted)
        answer = await session.client.get("/health")
        assert (answer.status_code, answer.json()["halt_reason"]) == (200, "drill")

    run_while(use, process, transport)


def test_a_process_that_hears_its_upstream_is_well() -> None:
    process, transport = process_of(component_of())

    async def use(session: Session) -> None:
        await session.until_well()
        await _put(transport, 0, HeartbeatSent(1, "marketdata", "m", 1, "0", "running", 0, 8800))

        async def is_heard() -> bool:
            checks = (await session.client.get("/health")).json()["checks"]
            return any(check["name"] == "upstream:marketdata" and check["age_seconds"] is not None for check in checks)

        await session.until(is_heard)

    run_while(use, process, transport)
