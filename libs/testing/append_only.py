"""What a power loss does to a Redis server, done to one of our own: the end of its append-only file is gone."""

from __future__ import annotations

import os
from pathlib import Path

from libs.messagebus.redis.server import EmbeddedRedis


def log_size(server: EmbeddedRedis) -> int:
    """Bytes of its append-only file: under ``appendfsync always`` all that was acknowledged, else perhaps less."""
    return _file(server.directory).stat().st_size


def crash_and_lose(server: EmbeddedRedis, size: int) -> int:
    """Kill the server, cut its append-only file back to ``size`` bytes and start it again on the same port.

    That is what ``appendfsync everysec`` may leave after a power loss: the file ends earlier, perhaps within a command,
    whose beginning the server then drops.

    Returns:
        The bytes that are gone.
    """
    server.kill()
    path = _file(server.directory)
    lost = path.stat().st_size - size
    os.truncate(path, size)
    server.start()
    return lost


def _file(directory: Path) -> Path:
    """Redis 7 keeps a base and increments in a folder, 6.2 one file."""
    increments = sorted(
        (directory / "appendonlydir").glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3])
    )
    return increments[-1] if increments else directory / "appendonly.aof"
