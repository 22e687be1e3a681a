"""Real processes: exit codes, signals, settings, and state that survives on a real Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.clock.live import monotonic_ns
from libs.testing.servers import redis_server

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[3]
SERVICE = Path(__file__).with_name("echo_service.py")
SECOND = 1_000_000_000


def _environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NAUTILUS_", "BUS_", "ECHO_"))}
    kept.pop("REDIS_URL", None)
    return kept | {"PYTHONPATH": str(ROOT), "NAUTILUS_AUTH": "off", "REDIS_URL": "memory://"} | settings


class _Service:
    """A process of the echo engine and what it has logged."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        self.lines: list[dict[str, Any]] = []
        self.address = ""

    def wait_for(self, event: str, **fields: str) -> dict[str, Any]:
        """Read the log until ``event``."""
        assert self.child.stderr is not None
        for text in self.child.stderr:
            line = json.loads(text)
            self.lines.append(line)
            if line["event"] == event and fields.items() <= line.items():
                return line
        raise AssertionError(f"the process ended without '{event}': {self.lines}")

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def end(self, number: signal.Signals) -> int:
        """Send a signal; the exit code."""
        self.child.send_signal(number)
        _, rest = self.child.communicate(timeout=20)
        self.lines += [json.loads(text) for text in rest.splitlines()]
        return self.child.returncode


@contextmanager
def _service(**settings: str) -> Iterator[_Service]:
    child = subprocess.Popen(
        [sys.executable, str(SERVICE)], env=_environment(**settings), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        service = _Service(child)
        service.address = service.wait_for("listening")["address"]
        yield service
    finally:
        child.kill()
        child.communicate()


def _run(**settings: str) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [sys.executable, str(SERVICE)], env=_environment(**settings), cwd=ROOT, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stderr.splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_0_within_five_seconds(number: signal.Signals) -> None:
    with _service() as service:
        service.wait_for("state_changed", state="running")
        began = monotonic_ns()
        assert service.end(number) == 0
        assert monotonic_ns() - began < 5 * SECOND
        assert [line["event"] for line in service.lines][-1] == "stopped"
        assert service.lines[-1]["clean"] is True


def test_a_signal_during_the_start_ends_the_process_too() -> None:
    with _service() as service:
        assert service.end(signal.SIGTERM) == 0


def test_a_dead_task_ends_the_process_with_1_and_one_clear_line() -> None:
    code, lines = _run(ECHO_DIES_AFTER_SECONDS="0.05")
    assert code == 1
    last = json.loads(lines[-1])
    assert (last["event"], last["level"]) == ("process_failed", "critical")
    assert last["error"] == "task 'echo.dying' died: OSError: the source went away"
    assert not any("Traceback" in line for line in lines)


def test_a_busy_port_is_one_clear_line() -> None:
    with _service() as service:
        port = service.address.rpartition(":")[2]
        code, lines = _run(ECHO_PORT=port)
    assert code == 1
    assert [json.loads(line)["error"] for line in lines] == [
        f"port {port} of engine 'echo' must be free, was in use on 127.0.0.1; stop the other process or set ECHO_PORT"
    ]


def test_wrong_settings_are_told_together_and_without_a_traceback() -> None:
    code, lines = _run(ECHO_PROT="1", NAUTILUS_SEED="x")
    assert code == 2
    assert len(lines) == 2
    assert lines[0] == "ECHO_PROT is no setting; did you mean ECHO_PORT?"
    assert lines[1].startswith("NAUTILUS_SEED must be a valid integer")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "REDIS_URL must be set to run one engine alone, was unset"),
        ("http://cache", "REDIS_URL: Redis URL must start with redis://"),
    ],
)
def test_a_missing_or_wrong_bus_is_told_with_the_remedy(url: str, text: str) -> None:
    code, lines = _run(REDIS_URL=url)
    assert code == 2
    assert lines[0].startswith(text)


def test_authentication_cannot_be_off_where_others_can_connect() -> None:
    code, lines = _run(ECHO_HOST="0.0.0.0")
    assert code == 2
    assert "NAUTILUS_AUTH must be on where others can connect" in lines[-1]


def test_a_bus_that_is_away_is_told_and_does_not_hold_up_the_end() -> None:
    with _service(REDIS_URL="redis://:hunter2@127.0.0.1:1/0") as service:
        service.wait_for("bus_unreachable")
        with pytest.raises(urllib.error.HTTPError) as caught:
            service.call("/health/ready")
        assert caught.value.code == 503
        assert json.loads(caught.value.read())["waiting_for"] == [
            "engine is starting",
            "message bus has not answered yet",
        ]
        began = monotonic_ns()
        assert service.end(signal.SIGTERM) == 1
        assert monotonic_ns() - began < 6 * SECOND
        assert any("did not end within" in line.get("error", "") for line in service.lines)
        assert "hunter2" not in str(service.lines)


def test_state_outlives_an_orderly_end_and_a_kill() -> None:
    with redis_server() as redis:
        with _service(REDIS_URL=redis.url) as service:
            assert service.call("/echo/cash/5", {})["balance"] == "5"
            assert service.end(signal.SIGTERM) == 0
        with _service(REDIS_URL=redis.url) as service:
            assert service.call("/echo/cash/2", {})["balance"] == "7"
            service.child.kill()
        with _service(REDIS_URL=redis.url) as service:
            assert service.call("/echo/cash/1", {})["balance"] == "8"
            status = service.call("/status")
            assert (status["epoch"], status["journal"]["entries"]) == (3, 4)
