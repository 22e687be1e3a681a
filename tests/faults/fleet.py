"""A fleet of one process an engine over a real Redis, and the replay that drives it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from libs.clock import TestClock
from libs.contracts.fleet import ENGINES
from libs.engine.engine import Outbox
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.redis.transport import RedisTransport
from libs.testing.ports import free_ports
from libs.testing.servers import redis_binary
from services.fleet.members import engine_components
from services.fleet.report import RunReport
from services.marketdata.adapters.dataset import survey
from services.marketdata.settings import MarketDataSettings
from tests.support.fleet import report_of
from tests.support.processes import PATIENCE_SECONDS, Child, ask_json, fleet_environment, wait_until

MEMBERS = (*ENGINES, "gateway")
MARKET = MarketDataSettings(start_date=date(1990, 1, 1), end_date=date(1990, 6, 15), speed=0)


class MultiProcessFleet:
    """One operating system process for each engine and the gateway.

    Attributes:
        redis: The server they share; what it has acknowledged is on the disk.
        children: By name; a member that was killed keeps its last process here.
    """

    def __init__(
        self, redis: EmbeddedRedis, folder: Path, market: MarketDataSettings = MARKET, **settings: str
    ) -> None:
        self.redis = redis
        self.market = market
        self.ports = free_ports(MEMBERS)
        self.children: dict[str, Child] = {}
        self._beside: list[Child] = []
        self._folder = folder
        self._environment = (
            fleet_environment(
                self.ports,
                REDIS_URL=redis.url,
                NAUTILUS_MODE="process",
                NAUTILUS_AUTH="off",
                NAUTILUS_DATA_DIR=str(folder / "var"),
                NAUTILUS_CLOCK_TYPE="test",
                NAUTILUS_CLOCK_START_TIME=str(survey(market).first_ns),
                # Short enough for some kills to come between a snapshot and its first commit, some long after.
                NAUTILUS_SNAPSHOT_SECONDS="2",
                MARKETDATA_START_DATE=str(market.start_date),
                MARKETDATA_END_DATE=str(market.end_date),
                MARKETDATA_SPEED=str(market.speed),
            )
            | settings
        )
        #: Environment of single members, where it is not that of all.
        self.own_settings: dict[str, dict[str, str]] = {}

    def start(self, name: str, **settings: str) -> Child:
        """Start a member; it replaces the process that had the name."""
        environment = self._environment | self.own_settings.get(name, {}) | settings
        child = Child(f"services.{name}", (), environment, self._folder / f"{name}.log")
        self.children[name] = child
        return child

    def start_beside(self, name: str, *arguments: str) -> Child:
        """Start another process of a member, which is the fleet's only when somebody makes it so."""
        environment = self._environment | self.own_settings.get(name, {})
        child = Child(f"services.{name}", arguments, environment, self._folder / f"{name}-{len(self._beside)}.log")
        self._beside.append(child)
        return child

    def end(self) -> None:
        """Kill what runs."""
        for child in (*self.children.values(), *self._beside):
            child.kill()

    # -- what it says of itself -------------------------------------------------------------------

    def status(self, name: str) -> dict[str, Any]:
        """``/status`` of a member, {} where it does not answer."""
        return ask_json(self.ports[name], "/status")

    def health(self, name: str) -> dict[str, Any]:
        """``/health`` of a member, {} where it does not answer."""
        return ask_json(self.ports[name], "/health")

    def wait_ready(self, name: str) -> None:
        """Wait until a member can be given work."""
        child = self.children[name]

        def ready() -> bool:
            assert child.exit_code is None, f"{name} has ended with {child.exit_code}: {child.said()[-2000:]}"
            return ask_json(self.ports[name], "/health/ready").get("ready") is True

        wait_until(f"{name} is ready", ready)

    def wait_healthy(self) -> None:
        """Wait until every member says that it is well, the gateway of all of them included."""
        for name in self.children:
            wait_until(f"{name} is healthy", lambda name=name: self.health(name).get("status") == "healthy")

    def restart_ended(self) -> dict[str, str]:
        """What a supervisor does: start members that have ended; the last line each had written."""
        ended = {}
        for name, child in list(self.children.items()):
            if child.exit_code is not None:
                ended[name] = (child.said().splitlines() or [""])[-1]
                self.start(name)
        return ended

    def mend(self) -> None:
        """Start what is dead, thaw what is frozen and pause the replay; it does nothing to a fleet that is well."""
        self.redis.start()
        for child in self.children.values():
            child.send(signal.SIGCONT)
        self.restart_ended()
        for name in MEMBERS:
            self.wait_ready(name)
        if self.feed().get("state") == "running":
            self.control("pause")
        self.wait_healthy()

    def instances(self) -> dict[str, str]:
        """Which run of each member answers; it changes when one is started again."""
        return {name: str(self.health(name).get("instance")) for name in self.children}

    # -- the replay -------------------------------------------------------------------------------

    def step(self) -> int:
        """Timestamps that are closed."""
        return int(self.health("marketdata").get("counters", {}).get("steps", 0))

    def feed(self) -> dict[str, Any]:
        """What the replay says of itself, {} before it has begun."""
        feeds = self.health("marketdata").get("counters", {}).get("feeds", [])
        return next((feed for feed in feeds if feed["feed"] == "replay"), {})

    def waited_for(self) -> list[str]:
        """Readers the replay waits for."""
        feeds = ask_json(self.ports["marketdata"], "/feeds").get("items", [])
        return next((feed["waiting_for"] for feed in feeds if feed["feed"] == "replay"), [])

    def control(self, action: str) -> None:
        """Pause the replay before its next timestamp, or let it go on."""
        answer = ask_json(self.ports["marketdata"], f"/feeds/replay/{action}", {})
        assert answer, f"the replay must {action}, was refused"

    def run_into_the_middle(self, steps: int = 4) -> None:
        """Let the replay go on and return while it is some timestamps further and running."""
        target = self.step() + steps
        self.control("resume")
        self.wait_for_step(target)
        assert self.feed()["state"] == "running", "the replay must still run when something is killed; lengthen it"

    def wait_for_step(self, target: int) -> None:
        """Wait until a timestamp is closed."""
        wait_until(f"the replay passes step {target}", lambda: self.step() >= target)

    def pace(self, timestamps_a_second: float) -> None:
        """How fast the replay goes on; 0 = as fast as it can."""
        wait_until(
            "the replay takes its new pace",
            lambda: ask_json(self.ports["marketdata"], "/feeds/replay/speed", {"speed": timestamps_a_second}),
        )

    def finish(self) -> RunReport:
        """Let the replay run to its end; what the bus then holds."""
        if self.feed()["state"] == "paused":
            self.control("resume")
        wait_until("the replay is finished", lambda: self.feed().get("state") == "finished", 5 * PATIENCE_SECONDS)
        return asyncio.run(_report(self.redis.url))


async def _report(url: str) -> RunReport:
    transport = RedisTransport(url)
    try:
        return await report_of(transport)
    finally:
        await transport.close()


@contextmanager
def multi_process_fleet(
    folder: Path, market: MarketDataSettings = MARKET, through: Callable[[MultiProcessFleet], None] | None = None
) -> Iterator[MultiProcessFleet]:
    """A whole fleet with its replay paused after the first timestamps.

    Args:
        through: Changes the fleet before its members start.
    """
    with EmbeddedRedis(folder / "redis", appendfsync="always", binary=redis_binary("any")) as redis:
        fleet = MultiProcessFleet(redis, folder, market)
        if through is not None:
            through(fleet)
        try:
            for name in MEMBERS:
                fleet.start(name)
            for name in MEMBERS:
                fleet.wait_ready(name)
            wait_until("the replay runs", lambda: fleet.step() > 0)
            fleet.control("pause")
            fleet.wait_healthy()
            yield fleet
        finally:
            fleet.end()


def readers_of(producer: str) -> list[str]:
    """Engines that read something ``producer`` publishes, by their routing tables, in start order."""
    found = []
    for component in engine_components():
        routes = component.make_engine(TestClock(0), Outbox()).routes()
        if component.name in ENGINES and component.name != producer:
            found += [component.name] * any(route.topic.producer == producer for route in routes)
    return found
