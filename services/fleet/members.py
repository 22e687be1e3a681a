"""Which components make up the fleet.

Imports are inside functions: a simulation needs no web server and the command line needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def tail_services() -> list[TailService]:
    """The services without an engine: websocket and gateway."""
    return [service for name in ("websocket", "gateway") for service in _main_of(name).services()]


def _main_of(name: str) -> Any:
    return import_module(f"services.{name}.__main__")
