"""The configuration a Redis server of our own runs with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Fsync = Literal["always", "everysec", "no"]


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """What varies between servers; the rest is fixed: loopback only, no evictions, no RDB dumps beside the AOF."""

    directory: Path
    appendonly: bool
    appendfsync: Fsync
    maxmemory_mb: int
    password: str = field(repr=False)

    def text(self, port: int) -> str:
        """The configuration file."""
        lines = [
            "bind 127.0.0.1",
            f"port {port}",
            f"dir {quoted(str(self.directory))}",
            "logfile redis.log",
            'save ""',
            f"appendonly {'yes' if self.appendonly else 'no'}",
            f"appendfsync {self.appendfsync}",
            f"maxmemory {self.maxmemory_mb}mb",
            "maxmemory-policy noeviction",
        ]
        if self.password:
            lines.append(f"requirepass {quoted(self.password)}")
        return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    r"""A value as Redis reads it between quotes; ``\xhh`` keeps quotes, backslashes and line ends inside it."""
    return '"' + "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else _hexed(c) for c in text) + '"'


def _hexed(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
