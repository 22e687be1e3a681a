"""What a Redis server of our own runs with: its configuration, and a directory fit for it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from libs.messagebus.redis.binary import PREFERRED_VERSION, EmbeddedRedisUnavailable, RedisBinary

MIN_FREE_BYTES = 64 * 1024 * 1024

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
            "auto-aof-rewrite-min-size 512mb",
            f"maxmemory {self.maxmemory_mb}mb",
            "maxmemory-policy noeviction",
        ]
        if self.password:
            lines.append(f"requirepass {quoted(self.password)}")
        return "\n".join(lines) + "\n"


def check_directory(directory: Path, binary: RedisBinary) -> None:
    """Refuse a directory in which this server would fail, or would silently start without its data.

    Raises:
        EmbeddedRedisUnavailable: If the disk is full, or the data were written by a newer server.
    """
    free = shutil.disk_usage(directory).free
    if free < MIN_FREE_BYTES:
        raise EmbeddedRedisUnavailable(
            f"disk of {directory} must have {MIN_FREE_BYTES // 1024 // 1024} MiB free, was {free // 1024 // 1024} MiB; "
            "free space or choose another directory"
        )
    # Redis 7 keeps its data where 6.2 does not look: 6.2 would come up empty, as if nothing had ever been traded.
    if binary.version < PREFERRED_VERSION and (directory / "appendonlydir").exists():
        raise EmbeddedRedisUnavailable(
            f"data in {directory} were written by Redis 7 and must be read by it, "
            f"was {binary.version[0]}.{binary.version[1]}; install redis-server 7 or choose another directory"
        )


def quoted(text: str) -> str:
    r"""A value as Redis reads it between quotes; ``\xhh`` keeps quotes, backslashes and line ends inside it."""
    return '"' + "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else _hexed(c) for c in text) + '"'


def _hexed(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
