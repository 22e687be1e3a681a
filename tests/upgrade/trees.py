"""Copies of the project's code, changed: other versions of it, to be run as real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from libs.contracts.fleet import PORTS
from libs.contracts.portfolio import RecordCashFlow
from libs.contracts.topics import CODEC, REGISTRY
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import START, Output
from tests.support.processes import PATIENCE_SECONDS, ask_json, wait_until

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = ("NAUTILUS_", "BUS_", "ENGINE_", "REDIS_", *(f"{name.upper()}_" for name in PORTS))
_TELL = "from libs.version import version_of; print(version_of('services.portfolio.engine'))"


class Tree:
    """One version of the code in a folder of its own."""

    def __init__(self, folder: Path, changes: dict[str, tuple[str, str]]) -> None:
        """Copy ``libs`` and ``services`` and change one place in each of some files."""
        self.folder = folder
        leave = shutil.ignore_patterns("__pycache__", "console")
        for part in ("libs", "services"):
            shutil.copytree(ROOT / part, folder / part, ignore=leave)
        for name, (old, new) in changes.items():
            text = (folder / name).read_text()
            assert text.count(old) == 1, f"{name} must hold {old!r} once, was {text.count(old)} times"
            (folder / name).write_text(text.replace(old, new))
        self.version = self.run("-c", _TELL).strip()

    def run(self, *arguments: str) -> str:
        """Output of a Python program under this version."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=environment(self.folder), capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return done.stdout


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    return kept | {"PYTHONPATH": str(folder), "NAUTILUS_AUTH": "off"} | settings


class Portfolio:
    """The portfolio engine of one bus, run under one version after the other."""

    def __init__(self, url: str, port: int, folder: Path) -> None:
        self._url = url
        self._port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def start(self, tree: Tree, **settings: str) -> None:
        """Start it under a version; returns at once."""
        self._starts += 1
        places = {"REDIS_URL": self._url, "PORTFOLIO_PORT": str(self._port), "NAUTILUS_DATA_DIR": str(self._folder)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.portfolio"], cwd=tree.folder,
                env=environment(tree.folder, **places, NAUTILUS_SNAPSHOT_SECONDS="3600", **settings), stdout=log,
                stderr=log,
            )  # fmt: skip

    def goes_on(self, tree: Tree, **settings: str) -> None:
        """Start it; it must become ready."""
        self.start(tree, **settings)
        wait_until("portfolio is ready", self._is_ready)

    def refuses(self, tree: Tree, **settings: str) -> str:
        """Start it; it must end by itself with 1. Returns what it said."""
        self.start(tree, **settings)
        assert self._process is not None
        assert self._process.wait(PATIENCE_SECONDS) == 1, self.said
        return self.said

    def end(self, how: signal.Signals) -> None:
        """Stop it in order (SIGTERM) or kill it."""
        assert self._process is not None
        self._process.send_signal(how)
        code = self._process.wait(PATIENCE_SECONDS)
        assert code == (0 if how is signal.SIGTERM else -how), self.said

    def close(self) -> None:
        """Leave no process behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def said(self) -> str:
        """The log of the process started last."""
        return self._log.read_text(errors="replace")

    @property
    def _log(self) -> Path:
        return self._folder / f"portfolio-{self._starts}.log"

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said
        return ask_json(self._port, "/health/ready").get("ready") is True


async def deposit(url: str, number: int) -> None:
    """Send a cash flow into the engine's inbox and wait until the engine has committed it."""
    command = RecordCashFlow(number, "main", Decimal(number), "USD", "deposit", f"deposit-{number}", "tester")
    data = CODEC.encode(RecordBatch("tester", number, 0, [command]))
    transport = RedisTransport(url)
    try:
        await transport.append("tester", number, 1, [Output(REGISTRY.topic_of(command).stream, data)])
        while not (await transport.quiescence(["portfolio"])).quiet:
            pass  # each look is a question to the server
    finally:
        await transport.close()


async def balances(url: str) -> list[Any]:
    """Every balance the engine has published, in order."""
    transport = RedisTransport(url)
    try:
        entries = await transport.read({"portfolio:high": START}, 1_000, 0)
    finally:
        await transport.close()
    events = [event for entry in entries for event in CODEC.decode(entry.data).events]
    return [event.balance for event in events if type(event).__name__ == "CashMoved"]
