"""One simulated process: a real host with its adapters on a line to the bus, that can be killed at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from libs.clock import Clock
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.assembly import trims_of
from libs.engine.component import Component
from libs.engine.guards import guarded
from libs.engine.host import Host, HostSettings
from libs.engine.metrics import HostMetrics
from libs.messagebus.publisher import Publisher
from libs.messagebus.transport import Entry
from services.fleet.simfaults.faults import FaultBook
from services.fleet.simfaults.line import Line
from services.fleet.simfaults.loop import OWNED_TASKS
from services.fleet.simfaults.server import Server

#: Makes what runs beside a host: (the process) -> something to await, or None.
Beside = Callable[["SimulatedProcess"], Any]


class SimulatedProcess:
    """A life of one engine's process.

    Attributes:
        name: The engine.
        life: How many there were before.
        is_dead: It was killed or has ended; it does nothing any more.
        generation: Failovers of the bus before it was started.
        error: What it ended with; None while it runs, after a kill and after an orderly end.
    """

    def __init__(
        self,
        component: Component,
        life: int,
        server: Server,
        book: FaultBook,
        seed: int,
        clock: Clock,
        settings: Mapping[str, Any],
        on_frozen: Callable[[SimulatedProcess, bool], None],
    ) -> None:
        self.name = component.name
        self.life = life
        self.is_dead = False
        self.generation = server.generation
        self.error: BaseException | None = None
        self.line = Line(server, self, book, f"{seed}:{self.name}:{life}")
        self.host = Host(
            component.make_engine, self.line, clock, CODEC, REGISTRY,
            HostMetrics(CollectorRegistry(), self.name),
            HostSettings(trims=trims_of(self.name, REGISTRY), **settings),
        )  # fmt: skip
        self.publisher = Publisher(self.line, CODEC, REGISTRY, f"{self.name}-{life}", clock)
        self._book = book
        self._on_frozen = on_frozen
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._main: asyncio.Task[None] | None = None
        self._watch_handling()

    def start(self, beside: Beside | None = None) -> asyncio.Task[None]:
        """Begin to run; the task ends with the process and never raises."""
        token = OWNED_TASKS.set(self._tasks)
        try:
            self._main = asyncio.get_running_loop().create_task(self._run(beside), name=f"{self.name}.{self.life}")
        finally:
            OWNED_TASKS.reset(token)
        return self._main

    async def _run(self, beside: Beside | None) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                hosting = group.create_task(self.host.run())
                extra = group.create_task(beside(self)) if beside is not None else None
                hosting.add_done_callback(lambda _: extra.cancel() if extra is not None else None)
        except ExceptionGroup as errors:
            self.error = errors.exceptions[0]
        finally:
            self._end()

    def _end(self) -> None:
        self.is_dead = True
        for task in list(self._tasks):
            task.cancel()

    def kill(self) -> None:
        """Nothing it does from here on reaches anyone: no drain, no snapshot, nothing flushed."""
        self._end()

    def restart(self) -> None:
        """SIGTERM: it finishes its batch, commits, takes a snapshot and ends."""
        self.host.stop()

    def freeze(self, seconds: float, is_hot: bool) -> None:
        """SIGSTOP for so long; a standby is there (hot) or started when it is missed (cold)."""
        self.line.awake.clear()
        asyncio.get_running_loop().call_later(seconds, self.line.awake.set)
        self._on_frozen(self, is_hot)

    @property
    def has_begun(self) -> bool:
        """Whether it ever got past its recovery, or past standing by."""
        return self.host._reader is not None

    def _watch_handling(self) -> None:
        core, handle, start = self.host.core, self.host.core.handle, self.host.core.start

        def handle_or_die(entry: Entry) -> None:
            for fault in self._book.next(self.name, "handle"):
                if fault.kind == "crash_handling":
                    self.kill()
                    raise asyncio.CancelledError
            with guarded(self.name):
                handle(entry)

        def start_watched(ts: int) -> Any:
            with guarded(self.name):
                return start(ts)

        core.handle, core.start = handle_or_die, start_watched  # type: ignore[method-assign]
