"""Which components make up the fleet.

Imports are inside functions: a simulation needs no web server and the command line needs neither.
"""

from __future__ import annotations

from importlib import import_module

from libs.contracts.fleet import ENGINES
from libs.engine.component import Component


def engine_components() -> list[Component]:
    """The sequenced engines of a complete fleet, each with its settings from the environment."""
    found: list[Component] = []
    for name in ENGINES:
        if name != "websocket":
            found.extend(import_module(f"services.{name}.__main__").components())
    return found
