"""The command line of ``python -m services.<engine>``: two options, the rest is settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.engine.component import Component
from libs.engine.errors import SettingsError

_USAGE = "the options are --standby (follow a running process of this engine and take its place) and --port N"


@dataclass(frozen=True, slots=True)
class Arguments:
    """What was asked for.

    Attributes:
        standby: Follow another process of the same engine.
        port: HTTP port instead of the setting's; None leaves the setting.
    """

    standby: bool = False
    port: int | None = None


def parse_arguments(given: Sequence[str]) -> Arguments:
    """Read ``[--standby] [--port N]``.

    Raises:
        SettingsError: For anything else.
    """
    standby, port, rest = False, None, list(given)
    while rest:
        name, joined, value = rest.pop(0).partition("=")
        if name == "--standby" and not joined:
            standby = True
        elif name == "--port":
            port = _port(value if joined else (rest.pop(0) if rest else ""))
        else:
            raise SettingsError(f"command line must hold known options, was '{name}{joined}{value}'; {_USAGE}")
    return Arguments(standby, port)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise SettingsError(f"--port must be a port from 0 (any free one) to 65535, was '{text}'; {_USAGE}")
    return int(text)


def with_port(components: Sequence[Component], port: int | None) -> list[Component]:
    """The same components, the first one with a surface on ``port``."""
    found = list(components)
    index = next((number for number, component in enumerate(found) if component.port is not None), None)
    if port is not None and index is not None:
        settings = found[index].settings
        changed = settings.model_copy(update={"port": port}) if settings is not None else None
        found[index] = replace(found[index], port=port, settings=changed)
    return found
