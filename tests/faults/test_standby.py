"""Hot standby with real processes in the middle of a replay: killed, frozen and stopped primaries change nothing.

All tests share one fleet and one replay, which each of them finds paused and leaves paused, every engine on its own
port again, so that the last one can hold what the bus recorded through all takeovers against a simulation without any.
Nobody starts anything anew in here: what goes on after a fault is the standby.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from libs.contracts.fleet import PAPER_VENUE
from libs.testing.ports import free_ports
from services.fleet.simulate import simulate
from tests.faults.fleet import MARKET, MEMBERS, MultiProcessFleet, multi_process_fleet
from tests.support.processes import Child, ask, ask_json, wait_until

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MultiProcessFleet]:
    with multi_process_fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture
def fleet(shared_fleet: MultiProcessFleet) -> Iterator[MultiProcessFleet]:
    yield shared_fleet
    shared_fleet.mend()


class Standby:
    """A second process of an engine, which follows the first one of the fleet."""

    def __init__(self, fleet: MultiProcessFleet, name: str, port: int | None = None) -> None:
        self.port = port or free_ports((name,))[name]
        self.child: Child = fleet.start_beside(name, "--standby", "--port", str(self.port))
        wait_until(f"the standby of {name} is level", self.is_level)

    def is_level(self) -> bool:
        assert self.child.exit_code is None, f"the standby has ended: {self.child.said()[-2000:]}"
        fact = ask_json(self.port, "/status").get("standby")
        return bool(fact) and fact["follows_commit"] > 0 and fact["lag_commits"] == 0

    def leads(self) -> bool:
        return ask_json(self.port, "/health/ready").get("ready") is True

    def becomes(self, fleet: MultiProcessFleet, name: str) -> None:
        """It is the fleet's process of this name from now on."""
        fleet.children[name], fleet.ports[name] = self.child, self.port


def take_over(fleet: MultiProcessFleet, name: str, standby: Standby, number: signal.Signals) -> Child:
    """Send the primary a signal while the replay runs; returned when the standby leads and the replay has moved on."""
    primary = fleet.children[name]
    fleet.run_into_the_middle()
    began = time.monotonic()
    primary.send(number)
    if number is signal.SIGKILL:
        primary.wait()
    wait_until(f"the standby of {name} leads", standby.leads)
    print(f"{name}: {time.monotonic() - began:.2f} s from {number.name} until its standby was ready")
    standby.becomes(fleet, name)
    fleet.wait_for_step(fleet.step() + 2)
    return primary


def move_home(fleet: MultiProcessFleet, name: str, port: int) -> None:
    """Move an engine to its own port by handing over to a standby there: how a process is replaced in peace."""
    present = fleet.children[name]
    home = Standby(fleet, name, port)
    present.send(signal.SIGTERM)
    assert present.wait() == 0
    home.becomes(fleet, name)
    fleet.wait_ready(name)


@pytest.mark.parametrize("name", ["portfolio", "strategy", "marketdata"])
def test_a_killed_primary_is_replaced_by_its_standby(fleet: MultiProcessFleet, name: str) -> None:
    home, epoch = fleet.ports[name], fleet.health(name)["epoch"]
    standby = Standby(fleet, name)
    take_over(fleet, name, standby, signal.SIGKILL)
    assert fleet.health(name)["epoch"] == epoch + 1
    fleet.control("pause")
    move_home(fleet, name, home)
    fleet.wait_healthy()


def test_a_frozen_primary_is_replaced_and_ends_when_it_wakes_up(fleet: MultiProcessFleet) -> None:
    home, standby = fleet.ports["strategy"], Standby(fleet, "strategy")
    old = take_over(fleet, "strategy", standby, signal.SIGSTOP)
    fleet.control("pause")
    old.send(signal.SIGCONT)
    assert old.wait() == 1
    last = old.said().splitlines()[-1]
    assert any(f"epoch of '{host}' must be" in last for host in ("strategy", PAPER_VENUE))
    assert "another host of this engine took over" in last
    move_home(fleet, "strategy", home)
    fleet.wait_healthy()


def test_an_idle_primary_that_was_frozen_learns_of_it_without_a_commit(fleet: MultiProcessFleet) -> None:
    home, old = fleet.ports["features"], fleet.children["features"]
    standby = Standby(fleet, "features")
    old.send(signal.SIGSTOP)
    wait_until("the standby leads", standby.leads)
    standby.becomes(fleet, "features")
    commits = fleet.status("features")["journal"]["entries"]
    old.send(signal.SIGCONT)
    assert old.wait() == 1
    assert "epoch of 'features' must be" in old.said().splitlines()[-1]
    assert fleet.status("features")["journal"]["entries"] == commits
    move_home(fleet, "features", home)
    fleet.wait_healthy()


def test_of_two_standbys_one_wins_and_the_other_follows_it(fleet: MultiProcessFleet) -> None:
    home, epoch = fleet.ports["risk"], fleet.health("risk")["epoch"]
    pair = [Standby(fleet, "risk"), Standby(fleet, "risk")]
    fleet.run_into_the_middle()
    fleet.children["risk"].kill()
    wait_until("one of them leads", lambda: any(one.leads() for one in pair))
    winner, loser = sorted(pair, key=lambda one: not one.leads())
    winner.becomes(fleet, "risk")
    fleet.wait_for_step(fleet.step() + 2)
    fleet.control("pause")
    wait_until("the other one follows it", loser.is_level)
    assert fleet.status("risk")["epoch"] == epoch + 1
    assert ask_json(loser.port, "/status")["standby"]["primary_epoch"] == epoch + 1
    winner.child.kill()
    wait_until("the other one leads", loser.leads)
    loser.becomes(fleet, "risk")
    assert fleet.health("risk")["epoch"] == epoch + 2
    move_home(fleet, "risk", home)
    fleet.wait_healthy()


def test_nobody_takes_over_because_redis_went_away(fleet: MultiProcessFleet) -> None:
    epoch, instance = fleet.health("portfolio")["epoch"], fleet.health("portfolio")["instance"]
    standby = Standby(fleet, "portfolio")
    fleet.run_into_the_middle()
    fleet.redis.kill()
    wait_until("the primary is degraded", lambda: fleet.health("portfolio").get("status") == "degraded")
    wait_until("the standby is degraded too", lambda: ask(standby.port, "/health")[0] == 503)
    fleet.redis.start()
    fleet.wait_for_step(fleet.step() + 2)
    fleet.control("pause")
    wait_until("the standby is level again", standby.is_level)
    assert (fleet.health("portfolio")["epoch"], fleet.health("portfolio")["instance"]) == (epoch, instance)
    standby.child.send(signal.SIGTERM)
    assert standby.child.wait() == 0
    fleet.wait_healthy()
    assert fleet.health("portfolio")["epoch"] == epoch


def test_what_the_bus_recorded_equals_a_run_without_faults(fleet: MultiProcessFleet) -> None:
    for name in MEMBERS:
        assert fleet.status(name)["dead_letters"] == 0, name
    recorded = fleet.finish()
    simulated = simulate(MARKET).report
    assert simulated.fills > 40
    assert (recorded.orders, recorded.fills) == (simulated.orders, simulated.fills)
    assert (recorded.tape_events, recorded.order_tape) == (simulated.tape_events, simulated.order_tape)
    assert recorded.snapshot == simulated.snapshot
    assert recorded.performance == simulated.performance
