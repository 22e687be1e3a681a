"""From declarations to running things: a host or tail service with its view, its surface and its adapters."""

from __future__ import annotations

from asyncio import Protocol
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from socket import socket

import structlog
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector

from libs.contracts.system import HeartbeatSent
from libs.engine.app import create_app
from libs.engine.auth import Guard, make_guard
from libs.engine.commands import Commands, standing_by
from libs.engine.component import Adapter, AdapterContext, Component
from libs.engine.health import HealthLimits, HostView, is_healthy
from libs.engine.host import Host, HostSettings
from libs.engine.metrics import HostMetrics, export_vitals
from libs.engine.parts import ProcessParts
from libs.engine.server import HttpServer, PortUnavailable, open_port
from libs.engine.setting_mistakes import CLASSES
from libs.engine.settings import EngineSettings, effective
from libs.engine.tailing import TailContext, TailHost, TailService
from libs.engine.view import EngineView
from libs.messagebus.topic import TopicRegistry

#: Where a surface listens unless its settings say otherwise.
LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class Member:
    """One engine or tail service of a process.

    Attributes:
        port: Of its HTTP surface, 0 = none.
    """

    name: str
    view: HostView
    host: Host | None = None
    server: HttpServer | None = None
    adapters: Sequence[Adapter] = ()
    port: int = 0

    def heartbeat(self, now_ns: int) -> HeartbeatSent:
        """A sign of life."""
        vitals = self.view.vitals()
        return HeartbeatSent(
            now_ns, self.name, self.view.instance, vitals.epoch, self.view.version, vitals.state, vitals.lag_entries,
            self.port,
        )  # fmt: skip


@dataclass(slots=True)
class Assembly:
    """Builds the members of one process in their order.

    Opening the ports comes first, so that a process that cannot have them has touched nothing.
    """

    parts: ProcessParts
    limits: HealthLimits
    members: list[Member] = field(default_factory=list)
    _registry: CollectorRegistry | None = None

    def component(self, component: Component, listener: socket | None) -> Member:
        """Build a sequenced engine; without a port it shares the metrics of the member before it."""
        parts, settings = self.parts, settings_of(component)
        registry = self._registry if listener is None and self._registry else _new_registry()
        host = Host(
            component.make_engine, parts.transport, parts.clock, parts.codec, parts.registry,
            HostMetrics(registry, component.name), host_settings(component.name, parts),
        )  # fmt: skip
        view = EngineView(host, parts, component.max_input_age_seconds)
        if host.standby is not None:
            # Who has several engines takes them over together: the others wait for the first.
            leader = next((member.host for member in self.members if member.host is not None), host)
            host.standby.may_lead = leader.leading.is_set if leader is not host else host.standby.may_lead
        commands = Commands(
            parts.publisher,
            host.replies,
            refusal=lambda: None if host.leading.is_set() else standing_by(component.name),
        )
        if component.metrics is not None:
            component.metrics(host.engine, registry)
        member = Member(component.name, view, host)
        if component.adapters is not None:
            context = AdapterContext(
                host.engine, commands, parts.publisher, parts.transport, parts.clock, parts.settings
            )
            member.adapters = component.adapters(context)
        if listener is None:
            export_vitals(registry, component.name, view.vitals, lambda vitals: is_healthy(vitals, self.limits))
        else:
            routers = [component.router(host.engine, commands)] if component.router is not None else []
            guard = make_guard(parts.settings, settings.host if settings else LOOPBACK, parts.clock)
            app = self._app(view, routers, registry, settings, guard, component.body_limits)
            self._serve(member, app, listener)
            self._registry = registry
        self.members.append(member)
        return member

    def tail(self, service: TailService, listener: socket) -> Member:
        """Build a service without an engine."""
        parts, registry = self.parts, _new_registry()
        host = TailHost(service.name, parts, service.upstreams)
        work = service.make(TailContext(host, parts.transport, parts.publisher, parts.clock, parts.settings, registry))
        host.counters_of, host.faults_of = work.counters, work.faults
        member = Member(service.name, host, adapters=work.tasks)
        make = service.guard or (lambda process, clock: make_guard(process, service.settings.host, clock))
        guard = make(parts.settings, parts.clock)
        app = self._app(host, work.routers, registry, service.settings, guard, service.body_limits)
        self._serve(member, app, listener, work.upgrade)
        self.members.append(member)
        return member

    def _app(
        self,
        view: HostView,
        routers: Sequence[APIRouter],
        registry: CollectorRegistry,
        settings: EngineSettings | None,
        guard: Guard,
        body_limits: Mapping[str, int] | None = None,
    ) -> FastAPI:
        parts = self.parts
        shown = [parts.settings, parts.bus, *([settings] if settings else [])]
        return create_app(
            view, title=f"Nautilus {view.name}", routers=routers, registry=registry,
            settings_view=effective(*shown), live_clock=parts.clock, desk=parts.desk, guard=guard,
            clock_type=parts.settings.clock_type, limits=self.limits, body_limits=body_limits,
        )  # fmt: skip

    @staticmethod
    def _serve(member: Member, app: FastAPI, listener: socket, upgrade: Callable[..., Protocol] | None = None) -> None:
        member.server = HttpServer(member.name, app, listener, upgrade)
        member.port = member.server.port


def open_ports(
    components: Sequence[Component], services: Sequence[TailService], *, standby: bool = False
) -> dict[str, socket]:
    """Bind every HTTP port, all or none.

    Args:
        standby: A primary may have the usual port on this machine: take any free one where nobody has chosen.

    Raises:
        PortUnavailable: For the first that cannot be opened.
    """
    wanted: list[tuple[str, str, int, bool]] = []
    for component in components:
        if component.port is not None:
            settings = settings_of(component)
            is_chosen = settings is None or "port" in settings.model_fields_set
            host = settings.host if settings else LOOPBACK
            wanted.append((component.name, host, component.port, standby and not is_chosen))
    wanted.extend((service.name, service.settings.host, service.settings.port, False) for service in services)
    with ExitStack() as held:
        opened = {name: held.enter_context(_open(name, host, port, moves)) for name, host, port, moves in wanted}
        held.pop_all()
        return opened


def _open(name: str, host: str, port: int, may_move: bool) -> socket:
    try:
        return open_port(name, host, port)
    except PortUnavailable as error:
        if not may_move:
            raise
        structlog.get_logger("http").warning("port_taken", engine=name, error=str(error), remedy="taking a free one")
        return open_port(name, host, 0)


def settings_of(component: Component) -> EngineSettings | None:
    """The engine's settings: those it was composed with, else those of the class imported for its prefix."""
    if component.settings is not None:
        return component.settings
    prefix = f"{component.name.upper()}_"
    for cls in CLASSES:
        if issubclass(cls, EngineSettings) and cls.model_config.get("env_prefix") == prefix:
            return cls()  # type: ignore[call-arg]  # the environment gives the port, or the class does
    return None


def host_settings(name: str, parts: ProcessParts) -> HostSettings:
    """How the host of engine ``name`` runs in this process."""
    settings = parts.settings
    follows = settings.clock_type == "test"
    start = settings.clock_start_time if follows and settings.clock_start_time is not None else 0
    return HostSettings(
        follows, start, settings.snapshot_seconds, trims_of(name, parts.registry), settings.snapshot_events,
        settings.replay_other_code, settings.lease_seconds, parts.standby,
    )  # fmt: skip


def trims_of(name: str, registry: TopicRegistry) -> dict[str, int]:
    """The streams engine ``name`` keeps short, with the entries to keep: what it publishes and what it is sent.

    What anybody may publish (dead letters, changes of state) every engine trims: trimming twice does no harm, and
    nobody has to live for it.
    """
    keep: dict[str, int] = {}
    for topic in registry.by_name.values():
        is_shared = topic.producer == "*" and not topic.family.startswith("inbox.")
        if topic.producer == name or topic.family == f"inbox.{name}" or is_shared:
            keep[topic.stream] = max(keep.get(topic.stream, 0), topic.retention)
    return dict(sorted(keep.items()))


def _new_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry
