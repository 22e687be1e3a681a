"""From the bus to the hub, and the passing of time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.messagebus.tail import TailReader
from services.websocket import session as codes
from services.websocket.hub import Hub

#: Events between two turns for everybody else of the process: about two milliseconds of work.
TURN_EVENTS: Final = 256
TICK_SECONDS: Final = 0.5


class TailFeed:
    """Publishes to the hub whatever appears on the bus.

    Args:
        reader: Over the topics clients may see.
        running: Held back while the service is paused.
        progress: Called after every turn.
    """

    name = "tail"

    def __init__(self, hub: Hub, reader: TailReader, running: asyncio.Event, progress: Callable[[], None]) -> None:
        self._hub = hub
        self._reader = reader
        self._running = running
        self._progress = progress

    async def run(self) -> None:
        """Read until cancelled."""
        turn = 0
        async for envelope in self._reader:
            self._hub.publish(envelope, monotonic_ns())
            turn += 1
            if turn == TURN_EVENTS:
                turn = 0
                self._progress()
                # Clients' sockets are drained here; without it a long backlog would look like slow clients.
                await asyncio.sleep(0)
            if not self._running.is_set():
                await self._running.wait()


class Ticker:
    """Heartbeats and deadlines; closes everybody when the service ends."""

    name = "ticker"

    def __init__(self, hub: Hub, clock: Clock, progress: Callable[[], None]) -> None:
        self._hub = hub
        self._clock = clock
        self._progress = progress

    async def run(self) -> None:
        """Tick until cancelled."""
        try:
            while True:
                self._hub.tick(monotonic_ns(), self._clock.timestamp_ns())
                self._progress()
                await asyncio.sleep(TICK_SECONDS)
        finally:
            self._hub.close_all(codes.STOPPING, "the server is stopping; reconnect")
