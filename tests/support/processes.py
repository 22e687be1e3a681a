"""Real processes of the fleet for tests: environment, ports, HTTP surfaces, and waiting for things to come true."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from libs.contracts.fleet import PORTS

ROOT = Path(__file__).resolve().parents[2]
#: Of everything that is waited for; a machine under load takes long, and what holds is seen at once.
PATIENCE_SECONDS = 90.0
_LOOK_SECONDS = 0.02
_NOT_OURS = ("NAUTILUS_", "BUS_", "ENGINE_", "REDIS_", *(f"{name.upper()}_" for name in PORTS))

T = TypeVar("T")


def fleet_environment(ports: Mapping[str, int], **settings: str) -> dict[str, str]:
    """An environment in which every engine and the gateway listen on ``ports`` and find each other there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    places = {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    urls = {
        f"ENGINE_{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items() if name != "gateway"
    }
    return kept | places | urls | settings


def ask(port: int, path: str, body: dict[str, Any] | None = None, seconds: float = 10.0) -> tuple[int, str]:
    """Status and text of an answer; 0 and why where there is none. With a body it is a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (OSError, ValueError) as error:  # refused, reset half way, too late
        return 0, str(error)


def ask_json(port: int, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The document of an answer with status 200 or 503, {} where there is none."""
    status, text = ask(port, path, body)
    return json.loads(text) if status in (200, 503) else {}


def wait_until(what: str, holds: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """Look until ``holds`` gives something true and return that.

    Raises:
        AssertionError: If it does not within ``seconds``.
    """
    give_up = time.monotonic() + seconds
    while True:
        if found := holds():
            return found
        if time.monotonic() > give_up:
            raise AssertionError(f"within {seconds:g} s it must come true that {what}, it did not")
        time.sleep(_LOOK_SECONDS)


class Child:
    """One Python process whose output goes to a file."""

    def __init__(self, module: str, arguments: tuple[str, ...], environment: Mapping[str, str], output: Path) -> None:
        self.output = output
        with output.open("a") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], env=dict(environment), cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=sink, stderr=sink,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit code, once it has ended."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """``kill -9``; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def said(self) -> str:
        """Everything it has written."""
        return self.output.read_text(errors="replace")
