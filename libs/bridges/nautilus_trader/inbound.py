"""Reads the streams that NautilusTrader writes, for a :class:`~libs.messagebus.relay.Relay` into our bus.

Event ids follow from where a message lies: producer ``nautilus_trader:<key>``, sequence made of the entry id. So the
same entry is the same event in every run, and an id says where to look. What cannot be expressed goes to the dead
letters in the same step, under the id its event would have had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from libs.bridges.nautilus_trader.batches import ENGINE, Batches, dead_letter, sequence_of, taken_ns
from libs.bridges.nautilus_trader.errors import BridgeError, EntriesTrimmedError, PayloadError
from libs.bridges.nautilus_trader.merge import Fields, Received, in_order
from libs.bridges.nautilus_trader.translator import Translator
from libs.messagebus.errors import TransportError
from libs.messagebus.redis.connection import Command
from libs.messagebus.redis.pool import ConnectionPool
from libs.messagebus.redis.replies import ReplyError
from libs.messagebus.relay import Piece
from libs.messagebus.topic import Event
from libs.messagebus.transport import START, entry_order

READ_COUNT = 512
BLOCK_MS = 500
LOOK_EVERY = 32
"""Reads between two looks for new streams that match the pattern."""


class StreamFacts(NamedTuple):
    """What Redis says about a stream; ``added`` is None before Redis 7."""

    length: int
    added: int | None
    last_id: str


class NodeStreams:
    """The :class:`~libs.messagebus.relay.RelaySource` of one or more nodes or backtests.

    Attributes:
        translator: What it makes of messages; counts those without a counterpart.
        events: Messages that became events.
        dead: Messages that could not be expressed.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        translator: Translator,
        keys: Sequence[str] = (),
        pattern: str = "",
        *,
        from_newest: bool = False,
        accept_loss: bool = False,
    ) -> None:
        """Prepare a reader.

        Args:
            pool: Connections to the server that NautilusTrader writes to.
            translator: Makes our events.
            keys: Streams to read, in full.
            pattern: Streams to look for as well, e.g. ``trader-*:stream*``.
            from_newest: Begin with what is added from now on instead of with the oldest entries kept.
            accept_loss: Go on where entries were trimmed before they were read.

        Raises:
            ValueError: If there is neither key nor pattern.
        """
        if not keys and not pattern:
            raise ValueError("streams to read must be named or matched by a pattern, was neither")
        self.translator = translator
        self.events = self.dead = 0
        self._pool = pool
        self._keys, self._pattern = tuple(keys), pattern
        self._from_newest, self._accept_loss = from_newest, accept_loss
        self._positions: dict[str, str] = {}
        self._unsure = False
        self._reads = 0
        self._log = structlog.get_logger(ENGINE)

    # -- as a source ------------------------------------------------------------------------------

    def restore(self, snapshot: bytes, notes: Sequence[bytes]) -> None:
        """Take back what the messages so far have told."""
        self.translator.memory.restore(snapshot, notes)

    def snapshot(self) -> bytes:
        """All that the messages so far have told."""
        return self.translator.memory.snapshot()

    async def start(self, positions: Mapping[str, str]) -> Piece | None:
        """Go on where the last run ended; begin streams that are new.

        Raises:
            EntriesTrimmedError: If entries were trimmed before they were read, unless that is accepted.
        """
        self._positions = {key: at for key, at in positions.items() if self._pattern or key in self._keys}
        self._unsure = True
        await self._check()
        return await self._look()

    async def read(self) -> Piece | None:
        """The next messages.

        Raises:
            EntriesTrimmedError: As :meth:`start`.
        """
        try:
            self._reads += 1
            if (self._reads % LOOK_EVERY == 0 or not self._positions) and (begun := await self._look()) is not None:
                return begun
            if self._unsure:
                await self._check()
            found = await self._next()
        except TransportError:
            self._unsure = True
            raise
        if not found:
            return None
        outputs = Batches()
        memory = self.translator.memory
        for one in found:
            self._take(outputs, one)
            key = one.key
            self._positions[key] = one.entry_id
            if (count := memory.get("count", key)) is not None:
                memory.put("count", key, count + 1)
        moved = {one.key: one.entry_id for one in found}
        return Piece(moved, outputs.encoded(), memory.take_changes())

    # -- streams ----------------------------------------------------------------------------------

    async def _next(self) -> list[Received]:
        """New entries of all streams."""
        if not self._positions:
            # Nothing to read yet: wait on a key that is none.
            await self._ask(("XREAD", "COUNT", 1, "BLOCK", BLOCK_MS, "STREAMS", self._pattern, "$"), BLOCK_MS / 1000)
            return []
        ids = self._positions.values()
        command: Command = ("XREAD", "COUNT", READ_COUNT, "BLOCK", BLOCK_MS, "STREAMS", *self._positions, *ids)
        streams: dict[str, list[tuple[str, Fields]]] = {}
        for key, entries in await self._ask(command, BLOCK_MS / 1000) or ():
            # Far behind: the writer may be trimming what was not read yet.
            self._unsure = self._unsure or len(entries) == READ_COUNT
            streams[key.decode()] = [
                (entry_id.decode(), {fields[i]: fields[i + 1] for i in range(0, len(fields), 2)})
                for entry_id, fields in entries
            ]
        return in_order(streams, READ_COUNT)

    async def _look(self) -> Piece | None:
        """Begin the streams that are not read yet."""
        keys = set(self._keys)
        cursor = b"0" if self._pattern else b""
        while cursor:
            command = ("SCAN", cursor, "MATCH", self._pattern, "COUNT", 1000, "TYPE", "stream")
            reply = await self._ask(command)
            cursor = b"" if reply[0] == b"0" else reply[0]
            keys |= {key.decode() for key in reply[1]}
        fresh = sorted(keys - set(self._positions))
        for key in fresh:
            facts = await self._facts(key)
            position = facts.last_id if self._from_newest else START
            behind = 0 if self._from_newest else facts.length
            self._positions[key] = position
            self.translator.memory.put("count", key, None if facts.added is None else facts.added - behind)
        if not fresh:
            return None
        return Piece({key: self._positions[key] for key in fresh}, (), self.translator.memory.take_changes())

    async def _check(self) -> None:
        """Compare how many entries a stream has lost at its old end with how many were read."""
        self._unsure = False
        memory = self.translator.memory
        for key, position in self._positions.items():
            facts, count = await self._facts(key), memory.get("count", key)
            if facts.added is None or count is None:
                continue
            removed = facts.added - facts.length
            if facts.added < count:
                self._log.error("stream_went_back", stream=key, read=count, written=facts.added)
                is_behind = entry_order(facts.last_id) > entry_order(position)
                memory.put("count", key, removed if is_behind else facts.added)
            elif removed > count:
                text = (
                    f"stream '{key}' must keep its entries until they are read, was trimmed of {removed - count} that "
                    "were not: raise autotrim_mins of MessageBusConfig, or keep the bridge running"
                )
                if not self._accept_loss:
                    raise EntriesTrimmedError(f"{text}; accept the loss to go on")
                self._log.error("entries_trimmed", error=text)
                memory.put("count", key, removed)

    async def _facts(self, key: str) -> StreamFacts:
        (reply,) = await self._pool.converse([("XINFO", "STREAM", key)])
        if isinstance(reply, ReplyError) and "no such key" in str(reply):
            return StreamFacts(0, 0, START)
        flat = self._checked(reply)
        facts = {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}
        return StreamFacts(facts["length"], facts.get("entries-added"), facts["last-generated-id"].decode())

    async def _ask(self, command: Command, wait_s: float = 0.0) -> Any:
        (reply,) = await self._pool.converse([command], wait_s)
        return self._checked(reply)

    def _checked(self, reply: Any) -> Any:
        if isinstance(reply, ReplyError):
            raise self._pool.meaning_of(reply)
        return reply

    # -- messages ---------------------------------------------------------------------------------

    def _take(self, outputs: Batches, one: Received) -> None:
        try:
            sequence = sequence_of(one.entry_id)
        except PayloadError as error:
            self.dead += 1  # without a sequence there is no id under which to report it
            self._log.error("entry_not_read", stream=one.key, entry_id=one.entry_id, error=str(error))
            return
        producer = f"nautilus_trader:{one.key}"
        event: Event | None
        try:
            if one.error is not None:
                raise one.error
            event = self.translator.translate(one.message, one.key)
        except BridgeError as error:
            self.dead += 1
            self._log.warning("message_not_expressed", stream=one.key, entry_id=one.entry_id, error=str(error))
            event = dead_letter(error, one, f"{producer}:{sequence}")
        else:
            self.events += event is not None
        if event is not None:
            outputs.add(producer, sequence, taken_ns(one.entry_id), event)
