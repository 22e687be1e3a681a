"""What happens to the server under a whole fleet: no room, no memory, no network, and everything gone.

The fleet is one process (``nautilus up`` on a private Redis). First its server is emptied; what it begins anew then
goes through all other faults, and is held against a simulation at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.connection import Argument, Connection
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.redis.transport import RedisTransport
from libs.testing.servers import redis_binary
from services.fleet.embedded import LOG_NAME
from services.fleet.report import RunReport
from services.fleet.simulate import simulate
from services.marketdata.settings import MarketDataSettings
from tests.faults.disks import DiskUnavailable, filled, small_disk
from tests.faults.killing import SOAK
from tests.faults.proxy import Network, network
from tests.support.fleet import report_of
from tests.support.fleet_up import FleetUp
from tests.support.processes import PATIENCE_SECONDS, ask_json, wait_until

pytestmark = pytest.mark.faults

#: Without room for this many MiB a server of ours does not start (``check_directory``).
DISK_MB = 96
#: Slow enough that data still flow at the last fault.
PACE = 1.0


class Fleet(FleetUp):
    last_day = date(1990, 5, 1)


@dataclass
class Everything:
    """The fleet with what it stands on.

    Attributes:
        disk: Where the server writes, None where no small disk can be made, with the reason in ``no_disk``.
    """

    fleet: Fleet
    redis: EmbeddedRedis
    between: Network
    disk: Path | None
    no_disk: str

    def server(self, *command: Argument) -> object:
        """Run a command on the server itself, past the network."""

        async def run() -> object:
            connection = await Connection.open(RedisAddress.parse(self.redis.url))
            try:
                return await connection.execute(*command)
            finally:
                connection.close()
                await asyncio.sleep(0)

        return asyncio.run(run())

    def status(self) -> str:
        return str(ask_json(self.fleet.ports["portfolio"], "/health").get("status"))

    def log(self) -> str:
        return (self.fleet.data_dir / LOG_NAME).read_text()

    def pace(self, timestamps_a_second: float) -> None:
        port = self.fleet.ports["marketdata"]
        wait_until("the pace is set", lambda: ask_json(port, "/feeds/replay/speed", {"speed": timestamps_a_second}))

    def goes_on(self) -> None:
        """The same process."""
        self.fleet.wait_for_step(self.fleet.step() + 2)
        assert self.fleet.child.exit_code is None

    def finish(self) -> RunReport:
        self.pace(0)
        wait_until("the replay is finished", lambda: self.fleet.feed_state() == "finished", 5 * PATIENCE_SECONDS)

        async def report() -> RunReport:
            transport = RedisTransport(self.redis.url)
            try:
                return await report_of(transport)
            finally:
                await transport.close()

        return asyncio.run(report())


@pytest.fixture(scope="module")
def all_of_it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as held:
        disk, why = None, ""
        try:
            disk = held.enter_context(small_disk(folder / "disk", DISK_MB))
        except DiskUnavailable as error:
            why = str(error)
        # Under ``always`` a server that cannot write ends, which is a crash like any other; this one has to wait.
        place = (disk or folder) / "redis"
        redis = held.enter_context(EmbeddedRedis(place, appendfsync="everysec", binary=redis_binary("any")))
        between = held.enter_context(network(redis.port))
        url = f"redis://127.0.0.1:{between.port}/0"
        fleet = held.enter_context(Fleet(folder, REDIS_URL=url, NAUTILUS_AUTH="off", MARKETDATA_SPEED=str(PACE)))
        fleet.start()
        fleet.wait_ready()
        yield Everything(fleet, redis, between, disk, why)


@pytest.fixture
def everything(all_of_it: Everything) -> Iterator[Everything]:
    """The shared fleet, its replay running; afterwards nothing is broken any more, whatever the test left."""
    fleet = all_of_it.fleet
    wait_until("the replay runs", lambda: fleet.feed_state() in ("running", "finished"))
    yield all_of_it
    all_of_it.server("CONFIG", "SET", "maxmemory", "0")
    all_of_it.between.mend()
    if fleet.child.exit_code is not None:
        fleet.start()
    fleet.wait_ready()


def test_an_emptied_server_ends_the_fleet_and_the_next_start_begins_anew(everything: Everything) -> None:
    """Nothing of the old run is written into the new one: its process is refused, says so and ends."""
    everything.fleet.wait_for_step(3)
    everything.server("FLUSHALL")
    assert everything.fleet.child.wait() == 1
    assert "went backward" in everything.fleet.said()
    everything.fleet.start()
    everything.fleet.wait_ready()


@pytest.mark.parametrize(
    "fault", [Network.cut, Network.freeze] if SOAK else [Network.freeze], ids=lambda fault: fault.__name__
)
def test_a_fleet_without_its_network_waits_and_goes_on(
    everything: Everything, fault: Callable[[Network], None]
) -> None:
    assert everything.fleet.feed_state() == "running"
    fault(everything.between)
    wait_until("the fleet is degraded", lambda: everything.status() == "degraded")
    everything.between.mend()
    everything.goes_on()


@pytest.mark.parametrize("fault", [Network.delay, Network.slow] if SOAK else [Network.slow])
def test_a_fleet_far_away_from_its_server_is_slower_and_no_more(
    everything: Everything, fault: Callable[[Network], None]
) -> None:
    assert everything.fleet.feed_state() == "running"
    fault(everything.between)
    everything.fleet.wait_for_step(everything.fleet.step() + 1)
    everything.between.mend()
    everything.goes_on()


def test_a_full_memory_is_waited_out(everything: Everything) -> None:
    assert everything.fleet.feed_state() == "running"
    everything.server("CONFIG", "SET", "maxmemory", "1mb")
    wait_until("it says why", lambda: "OOM: the server's memory is full; raise maxmemory" in everything.log())
    everything.server("CONFIG", "SET", "maxmemory", "0")
    everything.goes_on()


def test_a_full_disk_is_waited_out(everything: Everything) -> None:
    if everything.disk is None:
        pytest.skip(everything.no_disk)
    assert everything.fleet.feed_state() == "running"
    with filled(everything.disk):
        wait_until("it says why", lambda: "MISCONF: the server cannot write its disk" in everything.log())
    everything.goes_on()


def test_what_the_bus_recorded_equals_a_run_without_faults(everything: Everything) -> None:
    """Nothing of the run before the server was emptied is in it, and all faults after that changed nothing."""
    recorded = everything.finish()
    simulated = simulate(MarketDataSettings(start_date=Fleet.first_day, end_date=Fleet.last_day, speed=0)).report
    assert simulated.fills > 10
    assert (recorded.orders, recorded.fills, recorded.fees) == (simulated.orders, simulated.fills, simulated.fees)
    assert (recorded.tape_events, recorded.order_tape) == (simulated.tape_events, simulated.order_tape)
    assert recorded.snapshot == simulated.snapshot
    assert recorded.performance == simulated.performance
