"""Which components make up the fleet.

Imports are inside functions: a simulation needs no web server and the command line needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from libs.contracts.fleet import ENGINES
from libs.engine.component import Component
from libs.engine.tailing import TailService


def engine_components(settings: Mapping[str, Any] | None = None) -> list[Component]:
    """The sequenced engines of a complete fleet, in the order of ``ENGINES``.

    Args:
        settings: Settings by engine name; an engine without reads its own from the environment.
    """
    chosen = settings or {}
    found: list[Component] = []
    for name in ENGINES:
        if name != "websocket":
            found.extend(_main_of(name).components(chosen.get(name)))
    return found


def tail_services(components: Sequence[Component]) -> list[TailService]:
    """The services without an engine of a process that runs ``components``: websocket and gateway.

    The gateway looks for each engine where it listens in this process, unless ``ENGINE_*_URL`` says otherwise.
    """
    from libs.engine.assembly import settings_of
    from services.gateway.settings import EngineUrls

    websocket: list[TailService] = _main_of("websocket").services()
    listening = {component.name: settings_of(component) for component in components if component.port}
    listening |= {service.name: service.settings for service in websocket if service.settings.port}
    told = EngineUrls().model_fields_set
    found = {
        f"{name}_url": f"http://{reachable(settings.host)}:{settings.port}"
        for name, settings in listening.items()
        if settings is not None and f"{name}_url" not in told
    }
    return [*websocket, *_main_of("gateway").services(urls=EngineUrls(**found))]


def reachable(host: str) -> str:
    """An address of this machine by which a server that listens on ``host`` is reached."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _main_of(name: str) -> Any:
    return import_module(f"services.{name}.__main__")
