"""Mirrors topics of one fleet (a cell) into another, exactly once, keeping ids and causes meaningful.

``marketdata:100`` of the cell ``east`` becomes ``east/marketdata:100`` wherever it is mirrored to, and so do causes,
roots and references: an id says where to look. Events that came from another cell are not passed on, so that cells may
mirror each other without a loop; every pair that needs it has a bridge of its own. What an event holds is not decoded:
fields that only newer versions know arrive as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from libs.messagebus.cells import Renamer, Translator
from libs.messagebus.errors import MessageBusError, TransportError, TrimmedError
from libs.messagebus.relay import Piece
from libs.messagebus.topic import Topic
from libs.messagebus.transport import LAST, START, Output, Transport, entry_before

READ_COUNT = 64
"""Entries of a stream in one commit at most: a full one holds 50 kB."""

BLOCK_MS = 1000

_FIRST = "@first:"
"""Before the name of a stream: the position it was begun after, where no entry need lie."""


class SourceLostError(MessageBusError):
    """The source no longer holds what was mirrored last; the target holds events that the source lost."""


class Mirror:
    """The :class:`~libs.messagebus.relay.RelaySource` that reads a fleet.

    Attributes:
        translator: Counts what was mirrored and what was not.
    """

    def __init__(
        self,
        transport: Transport,
        topics: Iterable[Topic[Any]],
        cell: str,
        *,
        to_cell: str = "",
        from_newest: bool = False,
        accept_loss: bool = False,
    ) -> None:
        """Prepare a mirror; nothing is read yet.

        Args:
            transport: Of the source.
            topics: What to mirror, at least one.
            cell: Name of the source in the ids of its events elsewhere; it must not change afterwards.
            to_cell: Name of the target, so that what the source says about its events is understood there.
            from_newest: Begin with what is published from now on instead of with the oldest entries kept.
            accept_loss: Go on where the source has lost what was mirrored already.

        Raises:
            ValueError: If there is no topic, or the name of a cell is none.
        """
        wanted = list(topics)
        if not wanted:
            raise ValueError("topics to mirror must be at least one, was none; name the topics")
        self._transport = transport
        self.translator = Translator(Renamer(cell, to_cell), wanted)
        self._streams = [stream for _, stream in sorted({(topic.priority, topic.stream) for topic in wanted})]
        self._from_newest = from_newest
        self._accept_loss = accept_loss
        self._positions: dict[str, str] = {}
        self._first: dict[str, str] = {}
        self._unsure = False
        self._log = structlog.get_logger("mirror").bind(cell=cell)

    # -- as a source ------------------------------------------------------------------------------

    def restore(self, snapshot: bytes, notes: Sequence[bytes]) -> None:
        """There is no state but the positions."""

    def snapshot(self) -> bytes:
        """See :meth:`restore`."""
        return b""

    async def start(self, positions: Mapping[str, str]) -> Piece | None:
        """Check that the source still holds what was mirrored last; begin the streams that are new.

        Raises:
            SourceLostError: If it does not, unless that is accepted.
        """
        self._positions = {stream: positions[stream] for stream in self._streams if stream in positions}
        self._first = {stream: positions[key] for stream in self._streams if (key := _FIRST + stream) in positions}
        await self._check()
        fresh = [stream for stream in self._streams if stream not in self._positions]
        if not fresh:
            return None
        newest = self._from_newest
        found = await self._transport.tails(fresh) if newest else {one: await self._oldest(one) for one in fresh}
        self._positions |= found
        self._first |= found
        return Piece(found | {_FIRST + stream: position for stream, position in found.items()}, ())

    async def read(self) -> Piece | None:
        """The next entries of the wanted topics.

        Raises:
            TrimmedError: If entries were trimmed before they were mirrored; the target misses them.
            SourceLostError: As :meth:`start`, after the connection was lost.
        """
        try:
            if self._unsure:
                await self._check()
                self._unsure = False
            entries = await self._transport.read(self._positions, READ_COUNT, BLOCK_MS)
        except TransportError:
            self._unsure = True  # it may be another server now, which never had what was mirrored last
            raise
        if not entries:
            return None
        outputs: list[Output] = []
        for entry in entries:
            self._positions[entry.stream] = entry.entry_id
            outputs += self.translator.translate(entry)
        moved = {entry.stream: entry.entry_id for entry in entries}
        return Piece(moved, outputs)

    # -- where the source stands ------------------------------------------------------------------

    async def _oldest(self, stream: str) -> str:
        oldest = await self._transport.read_range(stream, START, LAST, 1)
        if oldest:
            return entry_before(oldest[0].entry_id)
        return (await self._transport.tails([stream]))[stream]

    async def _check(self) -> None:
        """Look whether the entry mirrored last is still there in each stream, or was trimmed away in good order."""
        for stream, position in self._positions.items():
            if position in (START, self._first.get(stream)):
                continue
            try:
                found = await self._transport.read({stream: entry_before(position)}, 1, 0)
            except TrimmedError:
                continue  # reading on tells whether anything was trimmed that had not been mirrored
            if found and found[0].entry_id == position:
                continue
            newest = found[0].entry_id if found else "nothing"
            text = (
                f"entry {position} of stream '{stream}' must still be in the source, was {newest} there: the source "
                "lost what had been mirrored (failover, power loss, FLUSHALL)"
            )
            if not self._accept_loss:
                raise SourceLostError(f"{text}; decide what the target shall do with it, then accept the loss to go on")
            self._log.error("source_lost_entries", error=text)
