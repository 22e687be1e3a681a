"""Starts the fleet's own Redis server again when it ends."""

from __future__ import annotations

import asyncio

import structlog

from libs.messagebus.redis.server import EmbeddedRedis

LOOK_SECONDS = 0.5


class RedisKeeper:
    """An extra task of the embedded fleet, where nobody else watches the server.

    The server comes back on its port with what its append-only file holds, and every client connects again by itself.
    What it had acknowledged and lost (none after a mere crash, see ``BUS_FSYNC``) ends the fleet with
    ``StateLostError``; the next start recovers from what is left.
    """

    name = "redis_keeper"

    def __init__(self, server: EmbeddedRedis) -> None:
        self._server = server

    async def run(self) -> None:
        """Look until cancelled.

        Raises:
            EmbeddedRedisUnavailable: If the server cannot be started again.
        """
        log = structlog.get_logger("redis")
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._server.has_ended:
                continue
            log.error("redis_ended", pid=self._server.pid)
            await asyncio.to_thread(self._restart)
            log.info("redis_started_again", pid=self._server.pid)

    def _restart(self) -> None:
        self._server.kill()  # nothing is left to end: it gives the locks back and keeps the port
        self._server.start()
