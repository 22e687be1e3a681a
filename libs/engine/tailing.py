"""Services without an engine: they read the tail of the bus and keep no position (websocket, gateway).

They stand behind the same control surface as an engine, and what they do is told by named tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from libs.clock import Clock
from libs.contracts.system import EngineState
from libs.engine.announce import announce
from libs.engine.component import Adapter
from libs.engine.errors import CommandRefused
from libs.engine.parts import ProcessParts
from libs.engine.settings import EngineSettings, ProcessSettings
from libs.engine.vitals import Change, Vitals
from libs.messagebus.publisher import Publisher
from libs.messagebus.transport import Transport
from libs.version import version_of

if TYPE_CHECKING:
    from fastapi import APIRouter
    from prometheus_client import CollectorRegistry

    from libs.engine.auth import Guard


class TailHost:
    """A :class:`~libs.engine.health.HostView` of a service without an engine.

    Attributes:
        running: Set while the service may work; its tasks wait for it where a pause should hold them.
    """

    role = "tail"

    def __init__(self, name: str, parts: ProcessParts, upstreams: Sequence[str] = ()) -> None:
        self.name = name
        self.instance = parts.instance
        self.version = version_of(f"services.{name}")
        self.running = asyncio.Event()
        self.running.set()
        self.counters_of: Callable[[], Mapping[str, Any]] = dict
        self.faults_of: Callable[[], Sequence[str]] = tuple
        self._parts = parts
        self._upstreams = tuple(upstreams)
        self._state: EngineState = "running"
        self._pause_reason = ""

    def task(self, name: str, max_silence_seconds: float | None = None) -> Callable[[], None]:
        """Where the task ``name`` reports progress; past the silence given, the service is degraded."""
        return self._parts.tasks.expect(self.name, f"{self.name}.{name}", max_silence_seconds).progress

    def sample(self) -> EngineState:
        """See :class:`~libs.engine.health.HostView`."""
        return "stopped" if self._parts.stopping else self._state

    def vitals(self) -> Vitals:
        """See :class:`~libs.engine.health.HostView`."""
        parts = self._parts
        return Vitals(
            state=self.sample(),
            uptime_seconds=parts.uptime_seconds,
            loop_tick_age_seconds=parts.loop.tick_age_seconds,
            loop_lag_seconds=parts.loop.lag_seconds,
            bus_age_seconds=parts.ping.age_seconds,
            tasks=parts.tasks.facts(self.name),
            upstreams=parts.watch.heartbeats.upstreams(self._upstreams),
            halts=parts.watch.halts.in_force(),
            faults=tuple(self.faults_of()),
            pause_reason=self._pause_reason,
        )

    def counters(self) -> Mapping[str, Any]:
        """See :class:`~libs.engine.health.HostView`."""
        return self.counters_of()

    def clock_ns(self) -> int:
        """The live clock: there is no engine with a time of its own."""
        return self._parts.clock.timestamp_ns()

    async def pause(self, actor: str, reason: str) -> Change:
        """See :class:`~libs.engine.health.HostView`."""
        self.running.clear()
        self._pause_reason = f"{reason} ({actor})" if reason else actor
        return await self._change("paused", actor, reason)

    async def resume(self, actor: str, reason: str) -> Change:
        """See :class:`~libs.engine.health.HostView`."""
        self.running.set()
        self._pause_reason = ""
        return await self._change("running", actor, reason)

    async def snapshot(self, actor: str, reason: str) -> Change:
        """There is nothing to keep.

        Raises:
            CommandRefused: Always, 409 ``no-state``.
        """
        raise CommandRefused(
            409, "no-state", f"{self.name} keeps no state, so there is no snapshot to take", "ask an engine that does"
        )

    async def _change(self, state: EngineState, actor: str, reason: str) -> Change:
        previous, self._state = self._state, state
        return await announce(self._parts, self.name, previous, state, actor, reason)


@dataclass(frozen=True, slots=True)
class TailContext:
    """What a tail service is built from.

    Attributes:
        host: Where its tasks report progress.
        registry: Where its metrics are registered.
        clock: The process's live clock.
    """

    host: TailHost
    transport: Transport
    publisher: Publisher
    clock: Clock
    process: ProcessSettings
    registry: CollectorRegistry


@dataclass(frozen=True, slots=True)
class TailWork:
    """What a tail service consists of.

    Attributes:
        tasks: Run as siblings of the HTTP server; one that raises ends the process.
        routers: Its own routes.
        counters: For ``/health`` and ``/status``; cheap.
        faults: What is broken right now, in words; anything makes the service degraded.
        upgrade: Takes over connections that ask for a websocket; see :class:`~libs.engine.server.HttpServer`.
    """

    tasks: Sequence[Adapter] = ()
    routers: Sequence[APIRouter] = ()
    counters: Callable[[], Mapping[str, Any]] = dict
    faults: Callable[[], Sequence[str]] = tuple
    upgrade: Callable[..., asyncio.Protocol] | None = None


@dataclass(frozen=True, slots=True)
class TailService:
    """One service without an engine; the counterpart of :class:`~libs.engine.component.Component`.

    Attributes:
        make: Builds it, inside the running event loop.
        settings: Its settings; host, port and log level are used.
        guard: Decides who may do what; by default as on an engine's surface.
        upstreams: Engines whose silence makes it degraded.
        body_limits: Bytes by path where 1 MiB is too little.
    """

    name: str
    make: Callable[[TailContext], TailWork]
    settings: EngineSettings
    guard: Callable[[ProcessSettings, Clock], Guard] | None = None
    upstreams: Sequence[str] = ()
    body_limits: Mapping[str, int] = field(default_factory=dict)
