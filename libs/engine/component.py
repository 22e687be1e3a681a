"""How a service is composed: one declaration that its own process, the embedded fleet and a simulation all use.

Each ``services/<engine>/__main__.py`` has ``components(settings=None) -> list[Component]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from libs.clock import Clock
from libs.engine.engine import Engine, Outbox

if TYPE_CHECKING:
    from fastapi import APIRouter
    from prometheus_client import CollectorRegistry

    from libs.engine.commands import Commands
    from libs.engine.settings import EngineSettings, ProcessSettings
    from libs.messagebus.publisher import Publisher
    from libs.messagebus.transport import Transport


class Adapter(Protocol):
    """The only place with I/O: runs as a sibling of the host; if it raises, the process ends non-zero."""

    name: str

    async def run(self) -> None:
        """Work until cancelled; returning early means the work is finished."""
        ...


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """What an adapter may use.

    Attributes:
        engine: The engine beside it, for reading its state between batches.
        commands: Sends commands into the engine's inbox and waits for their commit.
        clock: The process's live clock.
    """

    engine: Any
    commands: Commands
    publisher: Publisher
    transport: Transport
    clock: Clock
    process: ProcessSettings


@dataclass(frozen=True, slots=True)
class Component:
    """One sequenced engine with what stands beside it.

    Attributes:
        name: Reader name on the bus, also the name in logs and metrics.
        make_engine: Builds the state machine; deterministic, no I/O.
        port: HTTP port, or None for a host without a surface of its own.
        router: The engine's own routes: reads from state, writes as commands.
        adapters: Builds its adapters.
        metrics: Registers a collector of the engine's own metrics, read from its state at scrape time.
        settings: The engine's settings: its host and log level are used, all of it is shown (masked) by ``/status``.
            None takes the class that this process has imported for the engine's prefix, from the environment.
        max_input_age_seconds: By topic name, the silence past which an input counts as stale; a topic not named may
            be silent for ever.
        body_limits: Bytes by path where 1 MiB of request body is too little.
    """

    name: str
    make_engine: Callable[[Clock, Outbox], Engine]
    port: int | None
    router: Callable[[Any, Commands], APIRouter] | None = None
    adapters: Callable[[AdapterContext], Sequence[Adapter]] | None = None
    metrics: Callable[[Any, CollectorRegistry], None] | None = None
    settings: EngineSettings | None = None
    max_input_age_seconds: Mapping[str, float] = field(default_factory=dict)
    body_limits: Mapping[str, int] = field(default_factory=dict)
