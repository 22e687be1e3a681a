"""A process: hosts, adapters and HTTP servers as siblings under one task group.

If one of them dies the process ends, so nothing keeps answering 200 over a dead consumer. Told to stop, it stops in
this order: not ready, adapters, hosts (finish the batch, commit, snapshot), publisher, HTTP, transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from socket import socket

import structlog

from libs.clock import LiveClock
from libs.clock.live import monotonic_ns
from libs.contracts.system import HeartbeatSent
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.announce import StateMonitor
from libs.engine.assembly import Assembly, Member, open_ports
from libs.engine.component import Adapter, Component
from libs.engine.errors import EngineError
from libs.engine.halts import HaltDesk
from libs.engine.health import HealthLimits
from libs.engine.heartbeat import HeartbeatSender
from libs.engine.parts import ProcessParts
from libs.engine.pulse import LoopMonitor, PingMonitor
from libs.engine.settings import BusSettings, ProcessSettings
from libs.engine.tailing import TailService
from libs.engine.watch import BusWatch
from libs.messagebus.errors import TransportError, TransportRefusedError
from libs.messagebus.publisher import Publisher, new_incarnation
from libs.messagebus.transport import Transport

#: Time adapters, hosts and publisher have to end; with the grace of open requests it stays under five seconds.
STOP_SECONDS = 3.0


class ProcessFailed(EngineError):
    """A task of the process died; the text names it and says why."""


class Process:
    """Runs components and tail services until :meth:`stop`.

    Args:
        components: Sequenced engines, in start order.
        settings: Of the process.
        transport: Shared by all; closed at the end.
        clock: The live clock, shared by all.
        services: Services without an engine.
        bus: How the process publishes.
        extra_tasks: Run beside the rest; one that raises ends the process, one that returns is finished.
        name: Producer name of the process; by default that of its first member.
        standby: Follow another process of the same engines, and take its place when it falls silent or ends.

    Attributes:
        parts: What the members share.
        members: Engines and services by name, once :meth:`run` has built them.
        started: Set when the members are built and their servers run.
    """

    def __init__(
        self,
        components: Sequence[Component],
        settings: ProcessSettings,
        transport: Transport,
        clock: LiveClock,
        *,
        services: Sequence[TailService] = (),
        bus: BusSettings | None = None,
        extra_tasks: Sequence[Adapter] = (),
        name: str = "",
        standby: bool = False,
    ) -> None:
        self._components = list(components)
        self._services = list(services)
        self._extra_tasks = list(extra_tasks)
        names = [component.name for component in self._components] + [service.name for service in self._services]
        self._name = name or (names[0] if names else "process")
        bus = bus or BusSettings()
        instance = new_incarnation(self._name)
        publisher = Publisher(
            transport, CODEC, REGISTRY, instance, clock, max_batch=bus.batch_max, max_buffer=bus.max_buffer,
            full_policy=bus.full_policy, linger_ns=int(bus.linger_ms * 1e6),
        )  # fmt: skip
        watch = BusWatch(transport, CODEC)
        self.parts = ProcessParts(
            settings, bus, transport, clock, CODEC, REGISTRY, instance, publisher, LoopMonitor(),
            PingMonitor(transport), watch, HaltDesk(publisher, transport, watch.halts), standby=standby,
        )  # fmt: skip
        self.members: dict[str, Member] = {}
        self.started = asyncio.Event()
        self._stop = asyncio.Event()
        self._adapter_tasks: list[asyncio.Task[None]] = []
        self._host_tasks: list[asyncio.Task[None]] = []
        self._helper_tasks: list[asyncio.Task[None]] = []
        self._states = StateMonitor(self.parts, [])
        self._log = structlog.get_logger("process")

    def stop(self) -> None:
        """Begin the orderly end; :meth:`run` returns when it is done."""
        self._stop.set()

    async def run(self) -> None:
        """Run until told to stop.

        Raises:
            PortUnavailable, SettingsError: If an HTTP port cannot be opened, or must not be; nothing was started.
            ProcessFailed: If a task died, or the end took too long; nothing that was committed is lost.
        """
        listeners = open_ports(self._components, self._services, standby=self.parts.standby)
        try:
            self._build(listeners)
            async with asyncio.TaskGroup() as group:
                await self._start(group)
                self.started.set()
                await self._stop.wait()
                clean = await self._end()
        except ExceptionGroup as errors:
            raise ProcessFailed(self._explain(errors)) from errors
        finally:
            for listener in listeners.values():
                listener.close()
            await self._abandon_publisher()
            await self.parts.transport.close()
        if not clean:
            raise ProcessFailed(
                f"process '{self._name}' did not end within {STOP_SECONDS:g} s, was the message bus away; "
                "nothing committed is lost, the next start replays the rest"
            )

    # -- starting ---------------------------------------------------------------------------------

    def _build(self, listeners: dict[str, socket]) -> None:
        limit = max(HealthLimits().upstream, 4 * self.parts.bus.heartbeat_seconds)
        assembly = Assembly(self.parts, HealthLimits(upstream=limit, unseen_upstream=limit + 1.0))
        for component in self._components:
            self.members[component.name] = assembly.component(component, listeners.get(component.name))
        for service in self._services:
            self.members[service.name] = assembly.tail(service, listeners[service.name])

    async def _start(self, group: asyncio.TaskGroup) -> None:
        parts, book = self.parts, self.parts.tasks
        for member in self.members.values():
            if member.server is not None:
                book.start(group, member.name, member.server.name, self._endless(member.server))
        # Serving comes first: an engine that waits for its bus says so instead of not answering.
        try:
            await parts.transport.connect()
        except TransportRefusedError:
            raise
        except TransportError as error:
            self._log.warning("bus_unreachable", error=str(error))
        heartbeats = HeartbeatSender(
            parts.transport, CODEC, f"{parts.instance}-heartbeat", self._beats, parts.bus.heartbeat_seconds
        )
        self._states = StateMonitor(parts, [member.view for member in self.members.values()])
        for helper in (parts.loop, parts.ping, parts.watch, heartbeats, self._states):
            self._helper_tasks.append(book.start(group, "", helper.name, self._endless(helper)))
        for member in self.members.values():
            if member.host is not None:
                task = book.start(group, member.name, f"{member.name}.host", self._endless(member.host))
                self._host_tasks.append(task)
            for adapter in member.adapters:
                name = f"{member.name}.{adapter.name}"
                self._adapter_tasks.append(book.start(group, member.name, name, _when_leading(member, adapter)))
        for extra in self._extra_tasks:
            self._adapter_tasks.append(book.start(group, "", extra.name, extra.run()))

    async def _endless(self, task: Adapter) -> None:
        await task.run()
        if not self.parts.stopping:
            raise ProcessFailed(f"task '{task.name}' must run until the process stops, was finished before")

    def _beats(self) -> list[HeartbeatSent]:
        now = self.parts.clock.timestamp_ns()
        return [member.heartbeat(now) for member in self.members.values()]

    # -- ending -----------------------------------------------------------------------------------

    async def _end(self) -> bool:
        """Whether everything ended as it should within its time."""
        started, parts = monotonic_ns(), self.parts
        parts.stopping = True
        self._log.info("stopping", process=self._name)
        clean = True
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await _cancel(self._adapter_tasks)
                for member in self.members.values():
                    if member.host is not None:
                        member.host.stop()
                if self._host_tasks:
                    await asyncio.wait(self._host_tasks)
                self._states.tell()
                await parts.publisher.close()
        except TimeoutError:
            clean = False
        await _cancel([*self._host_tasks, *self._helper_tasks])
        for member in self.members.values():
            if member.server is not None:
                member.server.stop()
        self._log.info("stopped", process=self._name, clean=clean, seconds=round((monotonic_ns() - started) / 1e9, 3))
        return clean

    async def _abandon_publisher(self) -> None:
        """Nothing is left to do after an orderly end; otherwise what it still holds is lost, and it says so."""
        closing = asyncio.create_task(self.parts.publisher.close())
        await asyncio.sleep(0)  # a task cancelled before its first step would not close anything
        await _cancel([closing])

    def _explain(self, errors: ExceptionGroup[Exception]) -> str:
        """One line: which task died and why."""
        for handle in self.parts.tasks.handles.values():
            fact = handle.fact()
            if fact.state == "failed":
                return f"task '{fact.name}' died: {fact.error}"
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        return f"process '{self._name}' could not go on: {type(first).__name__}: {first}"


async def _when_leading(member: Member, adapter: Adapter) -> None:
    """Run an adapter once its host stands by no more: what touches the world is done by one process."""
    if member.host is not None:
        await member.host.leading.wait()
    await adapter.run()


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel and wait; what a task raises instead is its task group's affair."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
