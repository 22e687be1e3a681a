"""``python -m services.fleet up`` in a test: on a data directory and ports of its own."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress
from datetime import date
from pathlib import Path

from libs.contracts.fleet import ENGINES
from libs.messagebus.redis.binary import EmbeddedRedisUnavailable
from libs.messagebus.redis.server import EmbeddedRedis
from libs.testing.ports import free_ports
from tests.support.processes import Child, ask_json, fleet_environment, wait_until

MEMBERS = (*ENGINES, "gateway")


class FleetUp:
    """One data directory on which the embedded fleet is started any number of times; ends what runs on exit.

    Attributes:
        child: The process started last.
        first_day, last_day: What is replayed, the last day not included.
    """

    first_day, last_day = date(1990, 1, 1), date(1990, 5, 1)

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.data_dir = folder / "var"
        self.ports = free_ports(MEMBERS)
        days = {"MARKETDATA_START_DATE": str(self.first_day), "MARKETDATA_END_DATE": str(self.last_day)}
        places = {"NAUTILUS_DATA_DIR": str(self.data_dir)}
        # Engines are not told where the others are: one process knows.
        environment = fleet_environment(self.ports, **days, **places, **settings)
        self._environment = {name: value for name, value in environment.items() if not name.startswith("ENGINE_")}
        self._starts = 0
        self.child: Child

    def __enter__(self) -> FleetUp:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._starts or self.child.exit_code == 0:
            return
        self.child.send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(10)
        self.child.kill()
        # A fleet that was killed leaves its Redis running; whoever starts on the directory ends that one first.
        with suppress(EmbeddedRedisUnavailable), EmbeddedRedis(self.data_dir / "redis"):
            pass

    def start(self, *arguments: str, **settings: str) -> None:
        """Start it; what it says goes to a new file."""
        self._starts += 1
        output = self.folder / f"run-{self._starts}.out"
        self.child = Child("services.fleet", ("up", *arguments), self._environment | settings, output)

    def said(self) -> str:
        """What the last start has written."""
        return self.child.said()

    def wait_ready(self) -> None:
        """Wait until every member can be given work."""

        def ready(name: str) -> bool:
            assert self.child.exit_code is None, f"it has ended with {self.child.exit_code}: {self.said()}"
            return ask_json(self.ports[name], "/health/ready").get("ready") is True

        for name in MEMBERS:
            wait_until(f"{name} is ready", lambda name=name: ready(name))

    def step(self) -> int:
        """Timestamps that are closed."""
        return int(self._counters().get("steps", 0))

    def wait_for_step(self, target: int) -> None:
        """Wait until a timestamp is closed."""
        wait_until(f"the replay passes step {target}", lambda: self.step() >= target)

    def feed_state(self) -> str:
        """What the replay says of itself."""
        return next((str(feed["state"]) for feed in self._counters().get("feeds", ())), "")

    def _counters(self) -> dict[str, object]:
        return ask_json(self.ports["marketdata"], "/health").get("counters", {})
