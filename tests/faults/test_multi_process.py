"""Kill, freeze and cut off parts of a multi-process fleet in the middle of a replay: nothing is lost or doubled.

All tests share one fleet and one replay, which each of them finds paused and leaves paused, so that the last one can
hold what the bus recorded through all the faults against a simulation that had none.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from libs.contracts.fleet import ENGINES, PAPER_VENUE
from libs.testing.ports import free_ports
from services.fleet.simulate import simulate
from tests.faults.fleet import MARKET, MEMBERS, MultiProcessFleet, multi_process_fleet, readers_of
from tests.support.processes import ask, wait_until

pytestmark = pytest.mark.faults

#: Whose readers are asked too, which takes the full silence of a heartbeat; the gateway is asked for every engine.
WITH_READERS = ("marketdata", "strategy", "portfolio")
SEQUENCED = tuple(engine for engine in ENGINES if engine != "websocket")


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MultiProcessFleet]:
    with multi_process_fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture
def fleet(shared_fleet: MultiProcessFleet) -> Iterator[MultiProcessFleet]:
    """The shared fleet, mended afterwards if a test failed half way: one failure must not read as fifteen."""
    yield shared_fleet
    shared_fleet.mend()


def gateway_names(fleet: MultiProcessFleet, engine: str) -> bool:
    """Whether the gateway's health is bad and says that this engine is the reason."""
    status, text = ask(fleet.ports["gateway"], "/health")
    return status == 503 and f"engine {engine} is unreachable" in text


def reader_names(fleet: MultiProcessFleet, reader: str, engine: str) -> bool:
    status, text = ask(fleet.ports[reader], "/health")
    heard_never = f"upstream {engine} has not been heard since the start"  # killed before its first heartbeat
    return status == 503 and (f"upstream {engine} silent for" in text or heard_never in text)


def check_others_unharmed(fleet: MultiProcessFleet, before: dict[str, str], *harmed: str) -> None:
    """Every other member is the same run as before, answers, and could handle everything it was sent."""
    assert {name: child.exit_code for name, child in fleet.children.items()} == dict.fromkeys(fleet.children)
    after = fleet.instances()
    assert {name: after[name] for name in after if name not in harmed} == {
        name: before[name] for name in before if name not in harmed
    }
    for name in MEMBERS:
        assert ask(fleet.ports[name], "/health/live")[0] == 200
        assert fleet.status(name)["dead_letters"] == 0, name


def mend(fleet: MultiProcessFleet, engine: str, mending: Callable[[], object]) -> None:
    """Mend an engine that the replay waits for; the replay ends the timestamp it is in and begins no other."""
    hosts = {engine, PAPER_VENUE} if engine == "strategy" else {engine}
    wait_until(f"the replay waits for {engine}", lambda: hosts & set(fleet.waited_for()))
    fleet.control("pause")
    mending()
    wait_until(f"the replay waits for {engine} no more", lambda: not hosts & set(fleet.waited_for()))


@pytest.mark.parametrize("engine", SEQUENCED)
def test_an_engine_is_killed_told_of_and_started_again(fleet: MultiProcessFleet, engine: str) -> None:
    before, epoch = fleet.instances(), fleet.health(engine)["epoch"]
    fleet.run_into_the_middle()
    step = fleet.step()
    fleet.children[engine].kill()
    wait_until(f"the gateway says that {engine} is gone", lambda: gateway_names(fleet, engine))
    if engine in WITH_READERS:
        assert readers_of(engine)
        for reader in readers_of(engine):
            wait_until(f"{reader} says so too", lambda name=reader: reader_names(fleet, name, engine))
    if engine == "marketdata":  # the source of all steps: nobody can be told to pause before it is back
        fleet.start(engine)
        fleet.wait_for_step(step + 1)
        fleet.control("pause")
    else:
        mend(fleet, engine, lambda: fleet.start(engine))
    fleet.wait_healthy()
    check_others_unharmed(fleet, before, engine)
    assert fleet.instances()[engine] != before[engine]
    assert fleet.health(engine)["epoch"] == epoch + 1


@pytest.mark.parametrize("tail", ["websocket", "gateway"])
def test_what_only_watches_is_killed_and_the_replay_goes_on(fleet: MultiProcessFleet, tail: str) -> None:
    before = fleet.instances()
    fleet.run_into_the_middle()
    fleet.children[tail].kill()
    fleet.wait_for_step(fleet.step() + 2)
    fleet.control("pause")
    if tail == "websocket":
        wait_until("the gateway says that it is gone", lambda: gateway_names(fleet, tail))
    fleet.start(tail)
    fleet.wait_healthy()
    check_others_unharmed(fleet, before, tail)


def test_redis_is_killed_and_comes_back_with_its_log(fleet: MultiProcessFleet) -> None:
    before = fleet.instances()
    fleet.run_into_the_middle()
    fleet.redis.kill()
    for name in MEMBERS:
        wait_until(f"{name} is degraded", lambda name=name: fleet.health(name).get("status") == "degraded")
    assert fleet.health("portfolio")["messagebus_connected"] is False
    fleet.redis.start()
    fleet.wait_for_step(fleet.step() + 1)
    fleet.control("pause")
    fleet.wait_healthy()
    check_others_unharmed(fleet, before)


def test_an_engine_freezes_and_thaws(fleet: MultiProcessFleet) -> None:
    before = fleet.instances()
    fleet.run_into_the_middle()
    frozen = fleet.children["risk"]
    frozen.send(signal.SIGSTOP)
    try:
        wait_until("the gateway says so", lambda: gateway_names(fleet, "risk"))
        mend(fleet, "risk", lambda: frozen.send(signal.SIGCONT))
    finally:
        frozen.send(signal.SIGCONT)
    fleet.wait_healthy()
    check_others_unharmed(fleet, before)


def test_a_frozen_engine_that_was_replaced_is_fenced_out(fleet: MultiProcessFleet) -> None:
    before = fleet.instances()
    fleet.run_into_the_middle()
    old, own_port = fleet.children["strategy"], fleet.ports["strategy"]
    old.send(signal.SIGSTOP)
    try:
        fleet.ports["strategy"] = free_ports(("strategy",))["strategy"]
        mend(fleet, "strategy", lambda: fleet.start("strategy", STRATEGY_PORT=str(fleet.ports["strategy"])))
        fleet.run_into_the_middle(2)  # orders go on while the old one still believes that it holds the lease
        fleet.control("pause")
    finally:
        old.send(signal.SIGCONT)
    assert old.wait() == 1
    assert "epoch" in old.said().splitlines()[-1]
    fleet.children["strategy"].kill()
    fleet.ports["strategy"] = own_port
    fleet.start("strategy")
    fleet.wait_healthy()
    check_others_unharmed(fleet, before, "strategy")


def test_what_the_bus_recorded_equals_a_run_without_faults(fleet: MultiProcessFleet) -> None:
    recorded = fleet.finish()
    simulated = simulate(MARKET).report
    assert simulated.fills > 40
    assert (recorded.orders, recorded.fills) == (simulated.orders, simulated.fills)
    assert (recorded.tape_events, recorded.order_tape) == (simulated.tape_events, simulated.order_tape)
    assert recorded.snapshot == simulated.snapshot
    assert recorded.performance == simulated.performance
