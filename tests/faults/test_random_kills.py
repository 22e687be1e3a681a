"""One process an engine over a real Redis, and everything that can be taken away from it while data flow.

All tests share one fleet and one replay; the last holds what the bus recorded through all of them against a simulation
that had no fault. ``make soak`` kills a thousand times, the suite forty times here, and each engine once elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import pytest

from libs.testing.append_only import crash_and_lose, log_size
from services.fleet.simulate import simulate
from services.marketdata.settings import MarketDataSettings
from tests.faults.fleet import MEMBERS, MultiProcessFleet, multi_process_fleet
from tests.faults.killing import SOAK, fault_seed, kill_at_random
from tests.faults.proxy import Network
from tests.support.processes import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.faults

KILLS = 1_000 if SOAK else 40
#: Slow enough that data still flow when the last one is killed.
MARKET = MarketDataSettings(
    start_date=date(1990, 1, 1), end_date=date(1993, 1, 1) if SOAK else date(1990, 9, 1), speed=0.5 if SOAK else 2
)
#: The engine behind a network of its own.
FAR = "portfolio"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MultiProcessFleet, Network]]:
    networks: list[Network] = []

    def put_between(fleet: MultiProcessFleet) -> None:
        between = Network(fleet.redis.port)
        between.start()
        networks.append(between)
        fleet.own_settings[FAR] = {"REDIS_URL": f"redis://127.0.0.1:{between.port}/0"}

    try:
        with multi_process_fleet(tmp_path_factory.mktemp("fleet"), MARKET, put_between) as running:
            running.control("resume")
            yield running, networks[0]
    finally:
        for between in networks:
            between.end()


@pytest.fixture
def fleet(shared: tuple[MultiProcessFleet, Network]) -> Iterator[MultiProcessFleet]:
    """The shared fleet, whole again and running afterwards, whatever the test left."""
    running, between = shared
    yield running
    between.mend()
    running.redis.start()
    running.restart_ended()
    for name in MEMBERS:
        running.wait_ready(name)


@pytest.fixture
def far_network(shared: tuple[MultiProcessFleet, Network]) -> Network:
    return shared[1]


def test_kills_at_random_moments_stop_nothing_for_good(fleet: MultiProcessFleet) -> None:
    done = kill_at_random(fleet, KILLS, fault_seed())
    print(f"{done.kills} kills ({done.by_state}), {done.freezes} freezes, while the replay closed {done.steps} steps")
    assert fleet.feed()["state"] == "running", "data must flow while something is killed; lengthen the replay"
    for name in MEMBERS:
        fleet.wait_ready(name)
    fleet.wait_for_step(fleet.step() + 1)
    assert {name: child.exit_code for name, child in fleet.children.items()} == dict.fromkeys(fleet.children)
    assert [fleet.status(name)["dead_letters"] for name in MEMBERS] == [0] * len(MEMBERS)


@pytest.mark.parametrize(
    "fault", [Network.cut, Network.freeze] if SOAK else [Network.cut], ids=lambda fault: fault.__name__
)
def test_an_engine_without_its_network_says_so_and_goes_on_afterwards(
    fleet: MultiProcessFleet, far_network: Network, fault: Callable[[Network], None]
) -> None:
    """Half-open: what it sent is swallowed and nobody ever resets the connection; only its own patience finds out."""
    instance = fleet.health(FAR)["instance"]
    fault(far_network)
    wait_until(f"the replay waits for {FAR}", lambda: FAR in fleet.waited_for())
    wait_until(f"{FAR} says that it has no bus", lambda: fleet.health(FAR).get("messagebus_connected") is False)
    step = fleet.step()
    far_network.mend()
    fleet.wait_for_step(step + 2)
    wait_until(f"{FAR} is healthy", lambda: fleet.health(FAR).get("status") == "healthy")
    assert fleet.health(FAR)["instance"] == instance


@pytest.mark.parametrize("fault", [Network.delay, Network.slow] if SOAK else [Network.delay])
def test_an_engine_far_away_slows_the_replay_and_stops_nothing(
    fleet: MultiProcessFleet, far_network: Network, fault: Callable[[Network], None]
) -> None:
    instance = fleet.health(FAR)["instance"]
    fault(far_network)
    fleet.wait_for_step(fleet.step() + 3)
    far_network.mend()
    assert fleet.health(FAR)["instance"] == instance


@pytest.mark.parametrize("steps", [1, 3] if SOAK else [2])
def test_a_log_that_went_backward_stops_who_had_seen_more_and_is_gone_on_from(
    fleet: MultiProcessFleet, steps: int
) -> None:
    """A power loss under ``everysec``: the last of what was acknowledged is gone, from the middle of a timestamp on.

    Who had seen none of it goes on; the others end and are started again, as a supervisor does.
    """
    kept = log_size(fleet.redis)
    fleet.wait_for_step(fleet.step() + steps)
    target = fleet.step() + 2
    assert crash_and_lose(fleet.redis, kept) > 0
    ended: dict[str, str] = {}

    def goes_on() -> bool:
        ended.update(fleet.restart_ended())
        return fleet.step() >= target

    wait_until("the replay goes on past what was lost", goes_on, 2 * PATIENCE_SECONDS)
    print(f"ended, since they had seen what was lost: {', '.join(ended)}")
    assert ended
    for name, last_words in ended.items():
        assert "went backward" in last_words, (name, last_words)
    for name in MEMBERS:
        fleet.wait_ready(name)


def test_what_the_bus_recorded_equals_a_run_without_faults(fleet: MultiProcessFleet) -> None:
    fleet.pace(0)
    recorded = fleet.finish()
    simulated = simulate(MARKET).report
    assert simulated.fills > 40
    assert (recorded.orders, recorded.fills, recorded.fees) == (simulated.orders, simulated.fills, simulated.fees)
    assert (recorded.tape_events, recorded.order_tape) == (simulated.tape_events, simulated.order_tape)
    assert recorded.snapshot == simulated.snapshot
    assert recorded.performance == simulated.performance
