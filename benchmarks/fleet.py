"""The embedded fleet as somebody starts it: time to ready, memory, replayed timestamps a second; and the simulation.

Starting: from the process being started, on an empty data directory, until `/health/ready` of all ten engines and the
gateway answer 200. One start goes first and is thrown away, so that compiled modules are there.

Replay: timestamps a second of `nautilus up --speed 0`, in lockstep over its own Redis with the append-only file on. The
peer is the simulation of the same days in this process: the same engines and codec without sockets, disk and HTTP, so
what it is faster by is what durability and a live surface cost.

Memory: resident set of the fleet's one process and of its Redis, when the replay has finished.

Imports: an engine's module alone, in a fresh interpreter; all that its state machine needs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from benchmarks.table import Summary, Table, options, summarise
from libs.contracts.fleet import ENGINES, PORTS
from libs.testing.ports import free_ports
from services.fleet.simulate import SimulationResult, simulate
from services.marketdata.settings import MarketDataSettings

ROOT = Path(__file__).resolve().parents[1]
READY_BAR_SECONDS = 8.0
MEMORY_BAR_MB = 1_200.0
#: Timestamps after which the replay is timed: the first ones come while the rest of the fleet still starts.
RUN_IN_STEPS = 50
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Fleet:
    """A running embedded fleet."""

    process: subprocess.Popen[bytes]
    ports: dict[str, int]
    data_dir: Path

    def ask(self, name: str, path: str) -> dict[str, Any]:
        """The document at a path of a member, {} where there is none or it is not well."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=5) as answer:
                document: dict[str, Any] = json.load(answer)
                return document
        except (OSError, ValueError):  # HTTP errors are OSErrors
            return {}

    def wait_ready(self) -> None:
        """Return when every member is ready."""
        for name in self.ports:
            self.wait(lambda name=name: self.ask(name, "/health/ready").get("ready", False))

    def counters(self) -> dict[str, Any]:
        """What marketdata counts."""
        counters: dict[str, Any] = self.ask("marketdata", "/health").get("counters", {})
        return counters

    def is_finished(self) -> bool:
        """Whether the replay has ended."""
        return any(feed["state"] == "finished" for feed in self.counters().get("feeds", ()))

    def wait(self, holds: Callable[[], bool], every_seconds: float = 0.01) -> None:
        """Look until ``holds()``; each look costs the fleet some milliseconds."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while not holds():
            if self.process.poll() is not None:
                raise RuntimeError(f"the fleet must run, has ended with {self.process.returncode}; see its log above")
            if time.monotonic() > give_up:
                raise RuntimeError(f"the fleet must be ready within {_PATIENCE_SECONDS:g} s, was not")
            time.sleep(every_seconds)

    def resident_mb(self) -> float:
        """Resident memory of the process and its Redis, MB."""
        note = json.loads((self.data_dir / "redis" / "server.json").read_text())
        return sum(psutil.Process(pid).memory_info().rss for pid in (self.process.pid, note["pid"])) / 1e6


@contextmanager
def embedded(days: MarketDataSettings, *arguments: str) -> Iterator[Fleet]:
    """A fleet on an empty data directory, on free ports."""
    prefixes = ("NAUTILUS_", "BUS_", "ENGINE_", "REDIS_", *(f"{name.upper()}_" for name in PORTS))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    ports = free_ports((*ENGINES, "gateway"))
    environment |= {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    environment |= {"MARKETDATA_START_DATE": str(days.start_date), "MARKETDATA_END_DATE": str(days.end_date)}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.fleet", "up", *arguments],
            env=environment | {"NAUTILUS_DATA_DIR": folder}, cwd=ROOT, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Fleet(process, ports, Path(folder))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def seconds_to_ready(days: MarketDataSettings) -> float:
    """One start."""
    began = time.perf_counter()
    with embedded(days) as fleet:
        fleet.wait_ready()
        return time.perf_counter() - began


def replay(days: MarketDataSettings) -> tuple[float, int, float]:
    """Timestamps a second, how many were timed, and resident MB at the end."""
    with embedded(days, "--speed", "0") as fleet:
        fleet.wait(lambda: fleet.counters().get("steps", 0) >= RUN_IN_STEPS)
        began, first = time.perf_counter(), fleet.counters()["steps"]
        fleet.wait(fleet.is_finished, every_seconds=0.25)
        seconds, steps = time.perf_counter() - began, fleet.counters()["steps"] - first
        return steps / seconds, steps, fleet.resident_mb()


def simulation(days: MarketDataSettings) -> tuple[float, SimulationResult]:
    """Timestamps a second past the same run-in as the replay's, and the whole result."""
    stamps: list[float] = []
    result = simulate(days, on_step=lambda *_: stamps.append(time.perf_counter()))
    return (len(stamps) - RUN_IN_STEPS) / (stamps[-1] - stamps[RUN_IN_STEPS - 1]), result


def import_seconds(engine: str) -> float:
    """Importing an engine's module in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import services.{engine}.engine; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    chosen = options(__doc__)
    days = MarketDataSettings(start_date=date(1990, 1, 1), end_date=date(1991 if chosen.quick else 1994, 1, 1))
    seconds_to_ready(days)
    starts = [seconds_to_ready(days) for _ in range(1 if chosen.quick else 5)]
    rate, steps, memory = replay(days)
    peer, simulated = simulation(days)
    imports = {name: min(import_seconds(name) for _ in range(2)) for name in ENGINES if name != "websocket"}
    slowest = max(imports, key=lambda name: imports[name])

    table = Table("the embedded fleet", peer="its own simulation")
    table.add("start to ready, 10 engines and gateway", summarise(starts), "s", bar=READY_BAR_SECONDS)
    whole = simulated.summary.steps
    table.add(f"resident memory with Redis after {whole:,} timestamps", Summary(memory, 1), "MB", bar=MEMORY_BAR_MB)
    table.add("replay in lockstep, speed 0", Summary(rate, steps), "timestamps/s", peer=peer, better="higher")
    events = simulated.events / simulated.seconds
    table.add("simulation, reading the data included", Summary(events, simulated.events), "events/s", better="higher")
    table.add(f"import of an engine (slowest: {slowest})", summarise(list(imports.values())), "s")
    return table.finish(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
