"""Takeover: how long an engine is silent when its primary process is killed, frozen or stopped beside a hot standby.

Two processes of portfolio, the second one with `--standby`, on a private Redis that syncs every write; a producer keeps
them busy with closing prices. The primary gets SIGKILL, SIGSTOP or SIGTERM at a random moment. What is timed is the
silence of the engine: from the signal until the bus holds a commit under the next epoch, so noticing, taking over and
handling the first batch are all in it. A primary that was frozen is woken afterwards, and must end with 1.

The peer is what happens without a standby: the same process, started anew at the very moment of the kill, as by a
supervisor that loses no time. It has to start Python, connect, and recover a snapshot and its journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.table import Table, options, summarise
from libs.clock import LiveClock
from libs.contracts.fleet import PORTS
from libs.contracts.market import CloseReceived
from libs.contracts.topics import CODEC, REGISTRY
from libs.messagebus import Publisher, RedisTransport, new_incarnation
from libs.messagebus.redis import EmbeddedRedis
from libs.testing.ports import free_ports

ROOT = Path(__file__).resolve().parents[1]
ENGINE = "portfolio"
TAKEOVER_BAR_SECONDS = 2.0
_LOOK_SECONDS = 0.002
_PATIENCE_SECONDS = 90.0
_PRICES_A_SECOND = 200
#: What the process of each round must end with, where it ends by itself.
_EXIT_CODES = {signal.SIGSTOP: 1, signal.SIGTERM: 0}


class Member:
    """One process of the engine."""

    def __init__(self, url: str, *arguments: str) -> None:
        prefixes = ("NAUTILUS_", "BUS_", "ENGINE_", "REDIS_", *(f"{name.upper()}_" for name in PORTS))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
        self.port = free_ports((ENGINE,))[ENGINE]
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"services.{ENGINE}", "--port", str(self.port), *arguments],
            env=environment | {"REDIS_URL": url, "NAUTILUS_AUTH": "off"}, cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """`/status`, {} where it does not answer or is not well."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=5) as answer:
                document: dict[str, Any] = json.load(answer)
                return document
        except (OSError, ValueError):
            return {}

    async def is_level(self) -> bool:
        """Whether it stands by and has followed its primary to within a few commits."""
        fact = (await asyncio.to_thread(self.status)).get("standby") or {}
        return bool(fact.get("follows_commit")) and fact["lag_commits"] < 10

    def end(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.wait()


class Desk:
    """A bus with one engine on it, run by a primary and at times a standby."""

    def __init__(self, url: str, transport: RedisTransport, seed: int) -> None:
        self._url = url
        self._transport = transport
        self._moment = random.Random(seed)
        self._members: list[Member] = []

    async def begin(self) -> None:
        """Start the first primary and wait for its commits."""
        self._start()
        await self._until("the primary commits", self._commits_past(3))

    async def silence(self, number: signal.Signals, is_beside_standby: bool = True) -> float:
        """Send a signal to the primary; seconds until the first commit of whoever comes after it."""
        primary = self._members[-1]
        if is_beside_standby:
            await self._until("the standby is level", self._start("--standby").is_level)
        await asyncio.sleep(self._moment.uniform(0.0, 0.5))  # anywhere between two renewals
        before = await self._transport.watch(ENGINE)
        began = time.perf_counter()
        primary.process.send_signal(number)
        if not is_beside_standby:
            self._start()
        await self._until("somebody has the lease", self._epoch_past(before.epoch))
        taken = await self._transport.watch(ENGINE)
        await self._until("the next holder commits", self._commits_past(taken.commits))
        seconds = time.perf_counter() - began
        if number in _EXIT_CODES:
            primary.process.send_signal(signal.SIGCONT)
            code = await asyncio.to_thread(primary.process.wait, _PATIENCE_SECONDS)
            if code != _EXIT_CODES[number]:
                raise RuntimeError(
                    f"after {number.name} the old primary must end with {_EXIT_CODES[number]}, was {code}"
                )
        return seconds

    def end(self) -> None:
        """Leave no process behind."""
        for member in self._members:
            member.end()

    def _start(self, *arguments: str) -> Member:
        self._members.append(Member(self._url, *arguments))
        return self._members[-1]

    def _epoch_past(self, epoch: int) -> Callable[[], Awaitable[bool]]:
        async def holds() -> bool:
            return (await self._transport.watch(ENGINE)).epoch > epoch

        return holds

    def _commits_past(self, commits: int) -> Callable[[], Awaitable[bool]]:
        async def holds() -> bool:
            return (await self._transport.watch(ENGINE)).commits > commits

        return holds

    async def _until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while not await holds():
            if time.monotonic() > give_up:
                raise RuntimeError(f"within {_PATIENCE_SECONDS:g} s it must come true that {what}, it did not")
            await asyncio.sleep(_LOOK_SECONDS)


@contextlib.asynccontextmanager
async def prices(transport: RedisTransport) -> AsyncIterator[None]:
    """Closing prices without end, so that a commit is due at every moment."""
    publisher = Publisher(transport, CODEC, REGISTRY, new_incarnation("prices"), LiveClock())

    async def publish() -> None:
        for number in range(1_000_000_000):
            publisher.publish(CloseReceived(time.time_ns(), f"S{number % 50}.X", "1d", 100.0, "bench"))
            await asyncio.sleep(1 / _PRICES_A_SECOND)

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await publisher.close()


async def measure(rounds: int) -> dict[str, list[float]]:
    """Silences by what was done to the primary."""
    found: dict[str, list[float]] = {"killed": [], "frozen": [], "stopped": [], "alone": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, EmbeddedRedis(folder, appendfsync="always") as redis:
        transport = RedisTransport(redis.url)
        desk = Desk(redis.url, transport, seed=1)
        try:
            async with prices(transport):
                await desk.begin()
                for _ in range(rounds):
                    found["killed"].append(await desk.silence(signal.SIGKILL))
                    found["frozen"].append(await desk.silence(signal.SIGSTOP))
                    found["stopped"].append(await desk.silence(signal.SIGTERM))
                    found["alone"].append(await desk.silence(signal.SIGKILL, is_beside_standby=False))
        finally:
            desk.end()
            await transport.close()
    return found


def main() -> int:
    chosen = options(__doc__)
    found = asyncio.run(measure(2 if chosen.quick else 10))
    peer = summarise(found["alone"])
    table = Table("takeover by a hot standby, lease 1 s", peer="the process started anew")
    bar = TAKEOVER_BAR_SECONDS
    table.add("SIGKILL to the first commit after it", summarise(found["killed"]), "s", peer=peer.value, bar=bar)
    table.add("SIGSTOP to the first commit after it", summarise(found["frozen"]), "s", bar=bar)
    table.add("SIGTERM to the first commit after it", summarise(found["stopped"]), "s", bar=bar)
    table.add("started anew after SIGKILL, no standby", peer, "s")
    return table.finish(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
