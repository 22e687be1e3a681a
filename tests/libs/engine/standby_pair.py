"""A primary and its standby on one bus, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from libs.engine.host import Host
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import Transport
from libs.testing.faulty_transport import FaultyTransport
from tests.libs.engine.echo_engine import EchoEngine, trade
from tests.libs.engine.hosting import killed, make_host, put, until_quiet
from tests.libs.engine.instant_loop import run_instantly

LEASE = 1.0


class Pair:
    """A primary and its standby, each with a connection of its own to one bus.

    Attributes:
        primary_bus, standby_bus: ``open.clear()`` freezes whoever uses it, ``down`` cuts it off.
    """

    def __init__(self, **settings: Any) -> None:
        self.bus = MemoryTransport()
        self.primary_bus, self.standby_bus = FaultyTransport(self.bus), FaultyTransport(self.bus)
        self.sequence = 0
        self._settings = settings
        self._tasks: list[asyncio.Task[None]] = []
        self.primary, self.primary_running = self.start(self.primary_bus)
        self.standby, self.standby_running = self.start(self.standby_bus, standby=True)

    def start(
        self, bus: Transport, engine: type[EchoEngine] = EchoEngine, standby: bool = False
    ) -> tuple[Host, asyncio.Task[None]]:
        host = make_host(bus, engine, standby=standby, **self._settings)
        running = asyncio.create_task(host.run())
        self._tasks.append(running)
        return host, running

    async def trades(self, count: int) -> None:
        """Put some trades, each a batch; every second one of a symbol gives a signal."""
        for _ in range(count):
            await put(self.bus, trade(self.sequence + 1), sequence=self.sequence)
            self.sequence += 1

    async def level(self) -> None:
        """Everything is committed, and the standby has done it again."""
        await until_quiet(self.bus)
        await until(lambda: self.standby.committer.commits == self.primary.committer.commits)

    async def end(self) -> None:
        for task in self._tasks:
            await killed(task)


async def until(holds: Callable[[], bool], seconds: float = 120.0) -> float:
    """Wait until it holds; the virtual seconds it took."""
    clock = asyncio.get_running_loop()
    began = clock.time()
    while not holds():
        assert clock.time() - began < seconds, "it must come true in time"
        await asyncio.sleep(0.01)
    return clock.time() - began


def with_pair(use: Callable[[Pair], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        pair = Pair(**settings)
        await pair.trades(4)
        await pair.level()
        assert (pair.primary.state, pair.standby.state) == ("running", "standby")
        await use(pair)
        await pair.end()

    run_instantly(main())


def signals_of(trades: int) -> list[float]:
    return [0.0, *(float(number) for number in range(2, trades + 1, 2))]
