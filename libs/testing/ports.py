"""Ports for servers that tests and benchmarks start."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from contextlib import ExitStack


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """A free port for each name, below the range from which the system takes ports for clients.

    A process that is killed and started again finds its port free, which one of the system's range may not be.
    """
    found: dict[str, int] = {}
    with ExitStack() as held:
        for name in names:
            while name not in found:
                port = random.randrange(15_000, 32_000)
                probe = held.enter_context(socket.socket())
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                found[name] = port
    return found
