"""What the engines of one process share, and the book of its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.engine.halts import HaltDesk
from libs.engine.pulse import LoopMonitor, PingMonitor
from libs.engine.settings import BusSettings, ProcessSettings
from libs.engine.vitals import TaskFact
from libs.engine.watch import BusWatch
from libs.messagebus.codec import Codec
from libs.messagebus.publisher import Publisher
from libs.messagebus.topic import TopicRegistry
from libs.messagebus.transport import Transport

_SECOND = 1_000_000_000


@dataclass(slots=True)
class TaskHandle:
    """One tracked task; its owner calls :meth:`progress` whenever it got something done."""

    owner: str
    name: str
    max_silence_seconds: float | None = None
    task: asyncio.Task[None] | None = None
    progress_ns: int = 0

    def progress(self) -> None:
        """Something was done just now."""
        self.progress_ns = monotonic_ns()

    def fact(self) -> TaskFact:
        """State and age, now."""
        age = (monotonic_ns() - self.progress_ns) / _SECOND if self.progress_ns else None
        state, error = "running", ""
        if self.task is None:
            state = "waiting"
        elif self.task.cancelled():
            state = "cancelled"
        elif self.task.done():
            failure = self.task.exception()
            state, error = ("failed", f"{type(failure).__name__}: {failure}") if failure else ("finished", "")
        return TaskFact(self.name, state, age, self.max_silence_seconds, error)


@dataclass(slots=True)
class TaskBook:
    """Every task of a process by name; an owner ``""`` means that all engines depend on it."""

    handles: dict[str, TaskHandle] = field(default_factory=dict)

    def start(
        self,
        group: asyncio.TaskGroup,
        owner: str,
        name: str,
        work: Coroutine[Any, Any, None],
        max_silence_seconds: float | None = None,
    ) -> asyncio.Task[None]:
        """Run ``work`` as a task of ``group`` under ``name``, unique in the process."""
        handle = self.handles.setdefault(name, TaskHandle(owner, name, max_silence_seconds))
        handle.task = group.create_task(work, name=name)
        return handle.task

    def expect(self, owner: str, name: str, max_silence_seconds: float | None = None) -> TaskHandle:
        """A handle for a task that is started later, so that it can be told where to report progress."""
        handle = self.handles.setdefault(name, TaskHandle(owner, name, max_silence_seconds))
        if max_silence_seconds is not None:
            handle.progress()  # one that never gets anything done is silent from here on
        return handle

    def facts(self, owner: str) -> tuple[TaskFact, ...]:
        """The tasks of ``owner`` and those that all share."""
        return tuple(handle.fact() for handle in self.handles.values() if handle.owner in (owner, ""))


@dataclass(slots=True)
class ProcessParts:
    """What every surface and host of one process is built from.

    Attributes:
        instance: This run of the process, unique over all runs.
        started_ns: Monotonic.
        stopping: Set once, when the process begins to end.
        standby: Whether its engines stand by for another process.
    """

    settings: ProcessSettings
    bus: BusSettings
    transport: Transport
    clock: Clock
    codec: Codec
    registry: TopicRegistry
    instance: str
    publisher: Publisher
    loop: LoopMonitor
    ping: PingMonitor
    watch: BusWatch
    desk: HaltDesk
    tasks: TaskBook = field(default_factory=TaskBook)
    started_ns: int = field(default_factory=monotonic_ns)
    stopping: bool = False
    standby: bool = False

    @property
    def uptime_seconds(self) -> float:
        """Since the process was put together."""
        return (monotonic_ns() - self.started_ns) / _SECOND
