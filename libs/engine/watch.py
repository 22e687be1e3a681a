"""One reader a process for what concerns every engine: heartbeats from now on, halts from the beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from libs.contracts import topics
from libs.contracts.risk import HaltChanged
from libs.contracts.system import HeartbeatSent
from libs.engine.halts import HaltWatch
from libs.engine.heartbeat import HeartbeatWatch
from libs.messagebus.codec import Codec
from libs.messagebus.errors import DecodeError, TransportError, TrimmedError
from libs.messagebus.transport import START, Entry, Transport

_BLOCK_MS = 1000
_COUNT = 256
_BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)


class BusWatch:
    """Keeps the two books of a process; survives an unreachable bus.

    Attributes:
        heartbeats: Who was heard when.
        halts: What is halted.
    """

    name = "bus_watch"

    def __init__(self, transport: Transport, codec: Codec) -> None:
        self.heartbeats = HeartbeatWatch()
        self.halts = HaltWatch()
        self._transport = transport
        self._codec = codec

    async def run(self) -> None:
        """Read until cancelled."""
        positions: dict[str, str] = {}
        failures = 0
        while True:
            try:
                if not positions:
                    positions = await self._open()
                entries = await self._transport.read(positions, _COUNT, _BLOCK_MS)
            except TrimmedError:
                positions = {}  # heartbeats that old are worth nothing; halts are read from the beginning again
                continue
            except TransportError as error:
                structlog.get_logger("bus").debug("watch_interrupted", error=str(error))
                await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
                failures += 1
                continue
            failures = 0
            self._note(entries)
            positions.update((entry.stream, entry.entry_id) for entry in entries)

    async def _open(self) -> dict[str, str]:
        """Read all halts there are, and begin after the newest entries."""
        tails = await self._transport.tails([topics.HALT.stream, topics.HEARTBEAT.stream])
        newest, first = tails[topics.HALT.stream], START
        while first != newest:
            entries = await self._transport.read_range(topics.HALT.stream, first, newest, _COUNT)
            # A range includes its first entry: the one that ended the page before is handled twice, to no effect.
            self._note(entries)
            if not entries or entries[-1].entry_id == first:
                break
            first = entries[-1].entry_id
        return tails

    def _note(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            try:
                batch = self._codec.decode(entry.data)
            except DecodeError as error:
                structlog.get_logger("bus").warning("entry_undecodable", stream=entry.stream, error=str(error))
                continue
            for event in batch.events:
                if isinstance(event, HeartbeatSent):
                    self.heartbeats.note(event)
                elif isinstance(event, HaltChanged):
                    self.halts.note(event)
