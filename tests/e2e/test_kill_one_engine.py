"""A fleet of processes loses one: its readers and the gateway say so within ten seconds, nobody else is harmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from json import loads
from pathlib import Path
from typing import Any

import pytest

from libs.messagebus.redis.locks import free_port
from libs.testing.servers import redis_server

ROOT = Path(__file__).resolve().parents[2]
#: features reads marketdata; websocket needs nobody; the gateway needs all three.
ENGINES = ("marketdata", "features", "websocket")
SAID_WITHIN_SECONDS = 10.0

pytestmark = pytest.mark.faults


class Fleet:
    """Processes of ``python -m services.<engine>`` on free ports."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        self.ports = {name: free_port() for name in (*ENGINES, "gateway")}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = folder
        self._environment = {
            **os.environ, "REDIS_URL": redis_url, "NAUTILUS_MODE": "process", "NAUTILUS_DATA_DIR": str(folder),
            "MARKETDATA_SOURCES": "none", "GATEWAY_REQUIRED": ",".join(ENGINES), "PYTHONPATH": str(ROOT),
            **{f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            **{f"ENGINE_{name.upper()}_URL": f"http://127.0.0.1:{self.ports[name]}" for name in ENGINES},
        }  # fmt: skip

    def start(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def ask(self, name: str, path: str = "/health") -> tuple[int, Any]:
        """Status and body, 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=2) as answer:
                return answer.status, loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, loads(error.read())
        except OSError:
            return 0, None

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Seconds until ``condition`` held."""
        started = time.monotonic()
        while not condition():
            waited = time.monotonic() - started
            logs = "".join((self._folder / f"{name}.log").read_text()[-1500:] for name in self.processes)
            assert waited < seconds, f"not within {seconds} s\n{logs}\n{[self.ask(name) for name in self.ports]}"
            time.sleep(0.1)
        return time.monotonic() - started

    def says(self, name: str, text: str) -> bool:
        status, body = self.ask(name)
        return status == 503 and any(text in reason for reason in body["degraded_reasons"])


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        found = Fleet(stack.enter_context(redis_server()).url, folder)
        try:
            for name in found.ports:
                found.start(name)
            yield found
        finally:
            for process in found.processes.values():
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
            for process in found.processes.values():
                process.wait(10)


def test_kill_one_engine(tmp_path: Path) -> None:
    with fleet(tmp_path) as here:
        here.wait_until(lambda: all(here.ask(name)[0] == 200 for name in here.ports), 60)
        before = {name: here.ask(name)[1]["instance"] for name in ("features", "websocket", "gateway")}
        here.processes["marketdata"].kill()
        here.processes["marketdata"].wait()
        killed = time.monotonic()
        here.wait_until(
            lambda: here.says("gateway", "marketdata is unreachable") and here.says("features", "marketdata"),
            SAID_WITHIN_SECONDS,
        )
        assert time.monotonic() - killed < SAID_WITHIN_SECONDS + 0.5
        # Who does not need it is well, and who does is alive and the same.
        assert here.ask("websocket")[0] == 200
        assert here.ask("features", "/health/live")[0] == 200
        assert {name: here.ask(name)[1]["instance"] for name in before} == before
        status, grid = here.ask("gateway", "/api/v1/fleet")
        states = {row["engine"]: row["state"] for row in grid["engines"]}
        assert (status, states["marketdata"], states["websocket"]) == (200, "unreachable", "healthy")
        status, problem = here.ask("gateway", "/api/v1/feeds")
        assert (status, problem["code"], problem["engine"]) == (503, "engine-unreachable", "marketdata")

        here.start("marketdata")
        here.wait_until(lambda: all(here.ask(name)[0] == 200 for name in here.ports), 40)
        assert {name: here.ask(name)[1]["instance"] for name in before} == before
        assert here.ask("marketdata")[1]["epoch"] == 2
