"""Stopping a replay at an event: right after its handler, in the middle of a batch if need be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.journal import JournalEntry
from libs.messagebus.codec import Codec
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import DecodeError
from libs.messagebus.transport import Entry
from libs.trace.errors import EventIdError, TrimmedEventError, UnknownEventError
from libs.trace.locate import Locator, split_id
from services.fleet.record.errors import ReplayImpossibleError
from services.fleet.record.recording import Recording


@dataclass(frozen=True, slots=True)
class StopPoint:
    """Where to stop.

    Attributes:
        commit: After this one.
        event_id: After the handler of this event.
        output: After the commit that published this sequence number; for what no event caused.
    """

    commit: int | None = None
    event_id: str = ""
    output: int | None = None

    @classmethod
    async def of(cls, until: str, engine: str, recording: Recording) -> StopPoint:
        """Read ``--until``: an event the engine published stops after the event that made it publish.

        Raises:
            ReplayImpossibleError: If it is neither a commit number nor an event id, or that event is not recorded.
        """
        if not until:
            return cls()
        if until.isascii() and until.isdigit():
            return cls(commit=int(until))
        try:
            producer, sequence = split_id(until)
            if producer != engine:
                return cls(event_id=until)
            found = await Locator(recording, CODEC, REGISTRY).find(until)
        except (EventIdError, UnknownEventError, TrimmedEventError) as error:
            raise ReplayImpossibleError(f"--until must be a commit number or a recorded event: {error}") from error
        cause = found.batch.causation_id(found.index)
        return cls(event_id=cause) if cause else cls(output=sequence)

    def is_after(self, number: int, entry: JournalEntry) -> bool:
        """Whether a replay stops after this commit."""
        if self.output is not None:
            return entry.first_sequence <= self.output < entry.first_sequence + entry.outputs
        return self.commit == number


def cut_after(entries: Sequence[Entry], event_id: str, codec: Codec) -> list[Entry] | None:
    """``entries`` up to and with the event ``event_id``; None where it is not among them."""
    producer, sequence = split_id(event_id)
    for place, entry in enumerate(entries):
        try:
            batch = codec.decode(entry.data)
        except DecodeError:
            continue
        index = sequence - batch.sequence
        if batch.producer == producer and 0 <= index < len(batch.events):
            return [*entries[:place], entry._replace(data=codec.encode(_first_events(batch, index + 1)))]
    return None


def _first_events(batch: RecordBatch, count: int) -> RecordBatch:
    return RecordBatch(
        batch.producer, batch.sequence, batch.ts_publish, batch.events[:count], batch.inputs, batch.causes[:count],
        batch.roots[:count],
    )  # fmt: skip
