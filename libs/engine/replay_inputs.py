"""The input of journaled batches, read from the streams in large pieces and ahead of the replay.

A journal names many small ranges; on one stream they follow each other without a hole, because a reader reads
everything. So each stream is read as one long range, a megabyte at a time, and the next piece is asked for before the
present one is used up: one question for each range took 0.25 ms of waiting a batch, which was most of a recovery.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from libs.engine.journal import JournalEntry, Range
from libs.messagebus.errors import TrimmedError
from libs.messagebus.transport import Entry, Transport

#: Bytes asked for at a time; two pieces of each stream are held at most.
PIECE_BYTES = 1024 * 1024
_FIRST_COUNT = 32
_LARGEST_COUNT = 1024

#: Repeats an idempotent question until the transport answers.
Retrying = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class ReplayInputs:
    """Hands out the entries of journaled ranges in the order of the journal.

    Call :meth:`close` when done, also after an error: a piece may still be on its way.
    """

    def __init__(self, reader: str, transport: Transport, retrying: Retrying) -> None:
        self._reader = reader
        self._transport = transport
        self._retrying = retrying
        self._cursors: dict[str, _Cursor] = {}

    def announce(self, entries: Iterable[JournalEntry]) -> None:
        """Say what will be asked for, so that it can be read ahead; nothing past it ever is."""
        for entry in entries:
            for span in entry.ranges:
                cursor = self._cursors.get(span.stream)
                if cursor is None:
                    cursor = self._cursors[span.stream] = _Cursor(span.stream, self._transport, self._retrying)
                cursor.until = span.last

    async def take(self, number: int, span: Range) -> list[Entry]:
        """The entries of an announced range of commit ``number``.

        Raises:
            TrimmedError: If any of them is gone.
        """
        found = await self._cursors[span.stream].take(span)
        if len(found) != span.count or found[0].entry_id != span.first or found[-1].entry_id != span.last:
            raise TrimmedError(
                f"commit {number} of '{self._reader}' needs {span.count} entries of '{span.stream}' from "
                f"{span.first} to {span.last}, was {len(found)}; the stream was trimmed past the snapshot: restore the "
                "bus from a backup, or begin with a new data directory"
            )
        return found

    async def close(self) -> None:
        """Forget what is on its way."""
        asked = [cursor.asked for cursor in self._cursors.values() if cursor.asked is not None]
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


class _Cursor:
    """One stream: what was read and not handed out, and the piece behind it."""

    def __init__(self, stream: str, transport: Transport, retrying: Retrying) -> None:
        self.until = ""
        self.asked: asyncio.Task[list[Entry]] | None = None
        self._stream = stream
        self._transport = transport
        self._retrying = retrying
        self._held: deque[Entry] = deque()
        self._last = ""
        self._count = _FIRST_COUNT

    async def take(self, span: Range) -> list[Entry]:
        """The entries of a range, or as many of them as there are."""
        if has_begun := not self._last:
            await self._begin_at(span.first)
        found: list[Entry] = []
        while len(found) < span.count:
            if not self._held and not await self._more():
                break
            if not has_begun and not found and self._held[0].entry_id != span.first:
                await self._begin_at(span.first)  # the journal leaves out entries
                has_begun = True
                continue
            found.append(self._held.popleft())
        self._ask()
        return found

    async def _begin_at(self, first: str) -> None:
        """Read the first piece of a range that does not follow the one before."""
        if self.asked is not None:
            self.asked.cancel()
            await asyncio.gather(self.asked, return_exceptions=True)
            self.asked = None
        self._held = deque(await self._read(first))
        self._note()

    async def _more(self) -> bool:
        """Take the next piece; False where the stream has none."""
        self._ask()
        if self.asked is None:
            return False
        piece, self.asked = await self.asked, None
        if piece and piece[0].entry_id == self._last:  # a range includes its first entry, which was handed out
            del piece[0]
        self._held = deque(piece)
        self._note()
        return bool(self._held)

    def _ask(self) -> None:
        """Ask for the piece behind what is held, if there is one to be had and none is on its way."""
        if self.asked is None and self._last and self._last != self.until:
            self.asked = asyncio.create_task(self._read(self._last))

    async def _read(self, first: str) -> list[Entry]:
        ask = partial(self._transport.read_range, self._stream, first, self.until, self._count + 1)
        piece: list[Entry] = await self._retrying(ask)
        return piece

    def _note(self) -> None:
        if self._held:
            self._last = self._held[-1].entry_id
            size = sum(len(entry.data) for entry in self._held)
            self._count = max(4, min(_LARGEST_COUNT, PIECE_BYTES // max(1, size // len(self._held))))
