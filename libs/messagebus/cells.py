"""Names of events across cells (fleets that mirror topics into each other), and their record batches under them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog

from libs.messagebus.codec import MAX_ENTRY_BYTES, UNREADABLE, raw_batch
from libs.messagebus.envelope import Input, RecordBatch, ReferringBatch
from libs.messagebus.errors import DecodeError
from libs.messagebus.topic import Topic
from libs.messagebus.transport import Entry, Output

_CELL = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_FOREIGN = re.compile(_CELL.pattern + "/")


class _Head(msgspec.Struct, array_like=True, gc=False):
    tag: str


class Renamer:
    """Gives ids of the cell ``cell`` the names they have in another cell."""

    def __init__(self, cell: str, to_cell: str = "") -> None:
        """Check the names.

        Raises:
            ValueError: If one is no name of a cell, or both are the same.
        """
        for name in (cell, to_cell or "-"):
            if name != "-" and not _CELL.fullmatch(name):
                raise ValueError(
                    f"cell must be 1 to 64 of a-z, 0-9, dot and hyphen, was '{name}'; choose a short name, e.g. 'east'"
                )
        if cell == to_cell:
            raise ValueError(f"cells must have different names, was '{cell}' for both; rename one")
        self._cell = cell
        self._home = f"{to_cell}/" if to_cell else ""

    def name(self, producer: str) -> str:
        """A producer or an event id as the other cell knows it; what came from there gets its own name back."""
        if not producer or self.is_foreign(producer):
            home = self._home
            return producer[len(home) :] if home and producer.startswith(home) else producer
        return f"{self._cell}/{producer}"

    @staticmethod
    def is_foreign(producer: str) -> bool:
        """Whether it carries the name of a cell already."""
        return _FOREIGN.match(producer) is not None


class Translator:
    """Takes the wanted events out of entries of one cell, under the names they have in another.

    Attributes:
        events: Events translated.
        skipped: Events of the wanted topics that came from another cell.
        unreadable: Entries that are no record batch and events without a tag, which the source's own engines report;
            and events that no longer fit into an entry with their longer names.
    """

    def __init__(self, renamer: Renamer, topics: Iterable[Topic[Any]]) -> None:
        self.events = self.skipped = self.unreadable = 0
        self._renamer = renamer
        self._tags = frozenset(str(topic.event.__struct_config__.tag) for topic in topics)
        self._head = msgspec.msgpack.Decoder(_Head)
        self._log = structlog.get_logger("mirror")

    def translate(self, entry: Entry) -> list[Output]:
        """The wanted events of an entry, renamed: a record batch for each run of neighbours, so that ids stay right."""
        try:
            batch = raw_batch(entry.data)
        except DecodeError as error:
            self.unreadable += 1
            self._log.warning("entry_not_mirrored", stream=entry.stream, entry_id=entry.entry_id, error=str(error))
            return []
        wanted = [self._is_wanted(event) for event in batch.events]
        if self._renamer.is_foreign(batch.producer):
            self.skipped += sum(wanted)
            return []
        outputs, start = [], 0
        while start < len(wanted):
            if not wanted[start]:
                start += 1
                continue
            end = start
            while end < len(wanted) and wanted[end]:
                end += 1
            outputs += [Output(entry.stream, data) for data in self._fitting(batch, start, end)]
            start = end
        return outputs

    def _is_wanted(self, event: msgspec.Raw) -> bool:
        try:
            return self._head.decode(event).tag in self._tags
        except UNREADABLE:
            self.unreadable += 1
            return False

    def _fitting(self, batch: RecordBatch, start: int, end: int) -> list[bytes]:
        """The events ``start`` to ``end`` as batches; the longer names may take a full one over the limit."""
        data = self._encoded(batch, start, end)
        if len(data) <= MAX_ENTRY_BYTES:
            self.events += end - start
            return [data]
        if end - start == 1:
            self.unreadable += 1
            event_id = f"{batch.producer}:{batch.sequence + start}"
            self._log.error("event_too_large", event_id=event_id, bytes=len(data), limit=MAX_ENTRY_BYTES)
            return []
        middle = (start + end) // 2
        return self._fitting(batch, start, middle) + self._fitting(batch, middle, end)

    def _encoded(self, batch: RecordBatch, start: int, end: int) -> bytes:
        name = self._renamer.name
        fields: list[Any] = [
            name(batch.producer),
            batch.sequence + start,
            batch.ts_publish,
            batch.events[start:end],
            [Input(name(run.producer), run.sequence, run.count) for run in batch.inputs],
            batch.causes[start:end],
            [name(root) for root in batch.roots[start:end]],
        ]
        if isinstance(batch, ReferringBatch):
            fields.append([[name(one) for one in ids] for ids in batch.references[start:end]])
        return msgspec.msgpack.encode(fields)
