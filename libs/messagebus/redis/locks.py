"""Lock files and free ports: what keeps two servers apart."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from libs.clock.live import monotonic_ns

DEFAULT_PORT = 6379
_PAUSE_S = 0.01


def take_lock(path: Path) -> int | None:
    """Lock a file; the descriptor that holds the lock until it is closed everywhere, or None when somebody has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def wait_for_lock(path: Path, timeout_ns: int) -> int | None:
    """Lock a file as soon as its holder lets go; None when it does not within ``timeout_ns``."""
    give_up = monotonic_ns() + timeout_ns
    while (descriptor := take_lock(path)) is None and monotonic_ns() < give_up:
        time.sleep(_PAUSE_S)
    return descriptor


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now; never 6379, which belongs to the machine's own Redis."""
    port = DEFAULT_PORT
    while port == DEFAULT_PORT:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
    return port
