"""Which components make up the fleet.

Imports are inside functions: a simulation needs no web server and the command line needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from libs.contracts.fleet import ENGINES
from libs.engine.component import Component


def engine_components(settings: Mapping[str, Any] | None = None) -> list[Component]:
    """The sequenced engines of a complete fleet, in the order of ``ENGINES``.

    Args:
        settings: Settings by engine name; an engine without reads its own from the environment.
    """
    chosen = settings or {}
    found: list[Component] = []
    for name in ENGINES:
        if name != "websocket":
            found.extend(import_module(f"services.{name}.__main__").components(chosen.get(name)))
    return found
