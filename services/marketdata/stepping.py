"""From one timestamp's records to the commands that publish it, shared by the live replay and the simulation.

A timestamp is published in four groups of commands: its records, then one ``CloseStep`` for each stage. In lockstep the
fleet is quiet between two groups. Both drivers send the same commands in the same order, which is why a live replay and
a simulation publish the same events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter
from typing import Final

import msgspec

from libs.contracts.market import (
    STEP_STAGES,
    BarClosed,
    CloseReceived,
    CloseStep,
    IngestMarketData,
    InstrumentDefined,
    QuoteReceived,
    ReportFeedState,
    TradeReceived,
)
from libs.messagebus.topic import Event
from services.marketdata.batches import TimestampBatch
from services.marketdata.stamps import iso_of
from services.marketdata.validation import Record

#: Name of the feed that replays the configured sources.
REPLAY_FEED: Final = "replay"
#: Records one command carries at most: about 100 kB encoded.
MAX_PART_RECORDS: Final = 1_000


class SourceSummary(msgspec.Struct, frozen=True):
    """What one source holds between the configured dates.

    Attributes:
        records: Records it gives; instruments are not counted.
        symbols: Its symbols, sorted.
        empty_cells: Cells without a price.
        withheld, reduced: Records left out, and bars published as closes, because of known defects.
    """

    name: str
    description: str
    records: int
    first_ns: int
    last_ns: int
    symbols: list[str]
    empty_cells: int = 0
    withheld: int = 0
    reduced: int = 0


class DatasetSummary(msgspec.Struct, frozen=True):
    """What a replay will publish."""

    steps: int
    records: int
    first_ns: int
    last_ns: int
    sources: list[SourceSummary] = []


def step_groups(feed: str, batch: TimestampBatch) -> list[list[Event]]:
    """The groups of commands of one timestamp; the fleet drains after each group.

    Returns:
        The parts of the data, then a ``CloseStep`` for each of mark, assess and decide.
    """
    groups: list[list[Event]] = [list(ingest_commands(feed, batch))]
    groups.extend([command] for command in close_commands(feed, batch.ts_event))
    return groups


def ingest_commands(feed: str, batch: TimestampBatch) -> Iterator[IngestMarketData]:
    """The records of ``batch`` in commands of at most :data:`MAX_PART_RECORDS`.

    All instruments travel in part 0 and count for nothing: where the records are cut must not depend on how many
    definitions a restarted source repeats, or the parts of one timestamp would not fit together.
    """
    records = [*batch.bars, *batch.closes, *batch.quotes, *batch.trades]
    count = max(1, -(-len(records) // MAX_PART_RECORDS))
    for part in range(count):
        cut = records[part * MAX_PART_RECORDS : (part + 1) * MAX_PART_RECORDS]
        yield IngestMarketData(
            batch.ts_event,
            feed,
            part,
            part == count - 1,
            [record for record in cut if isinstance(record, BarClosed)],
            [record for record in cut if isinstance(record, CloseReceived)],
            [record for record in cut if isinstance(record, QuoteReceived)],
            [record for record in cut if isinstance(record, TradeReceived)],
            batch.instruments if part == 0 else [],
        )


def close_commands(feed: str, ts_event: int) -> list[CloseStep]:
    """The three commands that close ``ts_event``, in order."""
    return [CloseStep(ts_event, feed, stage) for stage in STEP_STAGES]


def opening_command(summary: DatasetSummary, speed: float, feed: str = REPLAY_FEED) -> ReportFeedState:
    """What a source says before its first timestamp; saying it again after a restart changes nothing."""
    detail = (
        f"{summary.steps} timestamps with {summary.records} records from {iso_of(summary.first_ns)} "
        f"to {iso_of(summary.last_ns)}"
    )
    return ReportFeedState(
        summary.first_ns, feed, "running", detail, speed, summary.first_ns, summary.last_ns, summary.steps
    )


def closing_command(summary: DatasetSummary, speed: float, feed: str = REPLAY_FEED) -> ReportFeedState:
    """What a source says after its last timestamp."""
    detail = f"the last timestamp, {iso_of(summary.last_ns)}, is published"
    return ReportFeedState(
        summary.last_ns, feed, "finished", detail, speed, summary.first_ns, summary.last_ns, summary.steps
    )


class Forward:
    """Walks a data set forward, leaving out timestamps but never an instrument.

    The definition of an instrument comes with its first price that is not left out, so it makes no difference whether a
    walk has left out the prices before or the data set was opened after them.
    """

    def __init__(self, batches: Iterator[TimestampBatch]) -> None:
        self._batches = batches
        self._instruments: dict[str, InstrumentDefined] = {}

    def next_from(self, ts_ns: int) -> TimestampBatch | None:
        """The next batch at or after ``ts_ns``, or None at the end."""
        for batch in self._batches:
            if batch.ts_event >= ts_ns:
                return self._with_definitions(batch)
            self._instruments.update((instrument.symbol, instrument) for instrument in batch.instruments)
        return None

    def _with_definitions(self, batch: TimestampBatch) -> TimestampBatch:
        if not self._instruments:
            return batch
        records: list[Record] = [*batch.bars, *batch.closes, *batch.quotes, *batch.trades]
        due = [
            msgspec.structs.replace(self._instruments.pop(symbol), ts_event=batch.ts_event)
            for symbol in sorted({record.symbol for record in records} & self._instruments.keys())
        ]
        instruments = sorted([*batch.instruments, *due], key=attrgetter("symbol"))
        return replace(batch, instruments=instruments)
