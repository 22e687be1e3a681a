"""The desk of the dead letters of engines and workers: look at them, publish their events again, or drop them.

A letter is retried or dropped once, by whomever. A retry publishes the bytes of the event as they were, under the id
they had, so that an effect behind an idempotency key is recognised. Of several consumer groups only the one that failed
takes it up; other sequenced engines on the stream cannot tell a repetition from news, so they must be wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from libs.clock import Clock
from libs.contracts.dead_letters import MAX_PAYLOAD
from libs.contracts.system import EventDeadLettered
from libs.messagebus.codec import Codec, raw_batch
from libs.messagebus.envelope import Input, RecordBatch, ReferringBatch
from libs.messagebus.errors import DecodeError
from libs.messagebus.topic import TopicRegistry
from libs.messagebus.transport import Entry, Output, Transport
from libs.messagebus.workers.errors import LetterLostError, LetterSettledError, LetterUnknownError
from libs.messagebus.workers.queue import WorkQueue
from libs.messagebus.workers.worker import dead_letter_stream

_PAGE = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter and what was done with it.

    Attributes:
        id: Names it to the desk.
        state: ``""`` while nothing was done, else who did what and when.
    """

    id: str
    letter: EventDeadLettered
    state: str = ""

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to look at it."""
        return not self.state


class LetterDesk:
    """Reads the stream of dead letters and settles them."""

    def __init__(
        self, queue: WorkQueue, transport: Transport, codec: Codec, registry: TopicRegistry, clock: Clock
    ) -> None:
        """Prepare a desk.

        Args:
            queue: Of ``transport``.
            transport: Where letters and their events lie.
            codec: Codec of the registry's topics.
            registry: Topics of the bus, that of the dead letters among them.
            clock: Stamps what is done.
        """
        self._queue = queue
        self._transport = transport
        self._codec = codec
        self._stream = dead_letter_stream(registry)
        self._clock = clock

    async def letters(
        self, *, limit: int = 50, before: str = "", reader: str = "", topic: str = "", settled: bool = False
    ) -> list[StoredLetter]:
        """Letters, newest first.

        Args:
            limit: At most so many.
            before: Id of a letter; only older ones.
            reader: Only those of this engine or group.
            topic: Only those of this topic.
            settled: Also those that were retried or dropped.

        Raises:
            LetterUnknownError: If ``before`` is no letter id.
        """
        found: list[StoredLetter] = []
        position, below = self._after(before) if before else ("", -1)
        while len(found) < limit:
            entries = await self._queue.newest(self._stream, position, _PAGE)
            if not entries:
                break
            page = [one for entry in entries for one in self._letters_in(entry)]
            states = await self._queue.letter_states([one.id for one in page])
            for one, state in zip(page, states, strict=True):
                entry_id, index = _parts(one.id)
                if below >= 0 and entry_id == before.partition(".")[0] and index >= below:
                    continue
                letter = one.letter
                if (reader and letter.engine != reader) or (topic and letter.topic != topic) or (state and not settled):
                    continue
                found.append(StoredLetter(one.id, letter, state))
            position = entries[-1].entry_id
        return found[:limit]

    async def get(self, letter_id: str) -> StoredLetter:
        """One letter.

        Raises:
            LetterUnknownError: If there is none with this id, or it was trimmed away.
        """
        entry_id, index = _parts(letter_id)
        for entry in await self._transport.read_range(self._stream, entry_id, entry_id, 1):
            for one in self._letters_in(entry):
                if _parts(one.id)[1] == index:
                    (state,) = await self._queue.letter_states([one.id])
                    return StoredLetter(one.id, one.letter, state)
        raise LetterUnknownError(f"dead letter must exist, was '{letter_id}'; list them, old ones are trimmed away")

    async def retry(self, letter_id: str, actor: str, *, shared: bool = False) -> StoredLetter:
        """Publish the event of a letter to its stream again.

        Args:
            letter_id: Which.
            actor: Who wants it.
            shared: Whether other engines that read the stream may handle the event a second time.

        Raises:
            LetterUnknownError: If there is no such letter.
            LetterSettledError: If it was retried or dropped before.
            LetterLostError: If there is no whole event left to publish.
            SharedStreamError: If other engines read the stream and ``shared`` is False.
        """
        stored = await self.get(letter_id)
        self._check_open(stored, stored.state)
        output = Output(stored.letter.stream, await self._event_of(stored.letter))
        return await self._settle(stored, f"retried by {actor} at {self._now()}", output, shared)

    async def drop(self, letter_id: str, actor: str, reason: str = "") -> StoredLetter:
        """Close a letter without doing anything; it stays on its stream and out of the list.

        Raises:
            LetterUnknownError: If there is no such letter.
            LetterSettledError: If it was retried or dropped before.
        """
        stored = await self.get(letter_id)
        why = f": {reason}" if reason else ""
        return await self._settle(stored, f"dropped by {actor} at {self._now()}{why}", None, False)

    # -- internals --------------------------------------------------------------------------------

    async def _settle(self, stored: StoredLetter, state: str, retry: Output | None, shared: bool) -> StoredLetter:
        before = await self._queue.settle_letter(stored.id, state, retry, stored.letter.engine, shared=shared)
        self._check_open(stored, before)
        return StoredLetter(stored.id, stored.letter, state)

    def _check_open(self, stored: StoredLetter, state: str) -> None:
        if state:
            raise LetterSettledError(f"dead letter {stored.id} must be open, was {state}; nothing was done")

    async def _event_of(self, letter: EventDeadLettered) -> bytes:
        """The record batch to publish: the event alone, under its old id; or the entry that could not be read."""
        if not letter.stream:
            raise LetterLostError("dead letter must hold an event, was about a timer; there is nothing to publish")
        entries = await self._transport.read_range(letter.stream, letter.entry_id, letter.entry_id, 1)
        if not letter.event_id:
            return entries[0].data if entries else _whole(letter)
        if entries:
            return self._alone(entries[0].data, letter.index)
        producer, _, sequence = letter.event_id.rpartition(":")
        now = self._clock.timestamp_ns()
        return self._codec.encode(RecordBatch(producer, int(sequence), now, [msgspec.Raw(_whole(letter))]))

    def _alone(self, data: bytes, index: int) -> bytes:
        batch = raw_batch(data)
        cause, root, references = batch.causation_id(index), batch.correlation_id(index), batch.references_of(index)
        producer, _, sequence = cause.rpartition(":")
        alone = RecordBatch(
            batch.producer,
            batch.sequence + index,
            self._clock.timestamp_ns(),
            [batch.events[index]],
            [Input(producer, int(sequence), 1)] if cause else [],
            [0] if cause else [],
            [root] if cause and root != cause else [],
        )
        if references:
            alone = ReferringBatch(**msgspec.structs.asdict(alone), references=[references])
        return self._codec.encode(alone)

    def _letters_in(self, entry: Entry) -> Sequence[StoredLetter]:
        """Newest first, as entries are."""
        try:
            batch, _ = self._codec.salvage(entry.data)
        except DecodeError:
            return []
        return [
            StoredLetter(f"{entry.entry_id}.{index}", event)
            for index, event in reversed(list(enumerate(batch.events)))
            if isinstance(event, EventDeadLettered)
        ]

    def _after(self, letter_id: str) -> tuple[str, int]:
        """Where to read on below a letter: its own entry again, for those in front of it."""
        entry_id, index = _parts(letter_id)
        first, _, second = entry_id.partition("-")
        return f"{first}-{int(second) + 1}", index

    def _now(self) -> str:
        now = _EPOCH + timedelta(microseconds=self._clock.timestamp_ns() // 1_000)
        return now.isoformat(timespec="seconds").replace("+00:00", "Z")


def _whole(letter: EventDeadLettered) -> bytes:
    if len(letter.payload) >= MAX_PAYLOAD:
        raise LetterLostError(
            f"event of the dead letter must be whole, was cut at {MAX_PAYLOAD} bytes, and its entry {letter.entry_id} "
            f"of '{letter.stream}' was trimmed away; publish it anew from its source"
        )
    return letter.payload


def _parts(letter_id: str) -> tuple[str, int]:
    entry_id, _, index = letter_id.partition(".")
    first, _, second = entry_id.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) <= 20 for part in (first, second, index)):
        raise LetterUnknownError(f"id of a dead letter must look like 1795329822775-0.0, was '{letter_id[:100]}'")
    return entry_id, int(index)
