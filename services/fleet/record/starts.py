"""Where a replay may begin: snapshots, and the beginning of the engine's life."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.messagebus.transport import StoredSnapshot, entry_order
from services.fleet.record.recording import Recording


@dataclass(slots=True)
class Start:
    """One place to begin.

    Attributes:
        number: The commit before it, 0 = the beginning.
        first_times: ``ts_batch`` of the first two commits to be replayed, None where there are none.
        lacks: Why it will not do, ``""`` if it will.
    """

    number: int
    snapshot: StoredSnapshot | None
    first_times: tuple[int | None, int | None] = (None, None)
    lacks: str = ""
    needs: dict[str, str] = field(default_factory=dict)


def starts_of(recording: Recording, reader: str, from_commit: int | None) -> list[Start]:
    """Places to begin in the order in which they should be tried.

    Args:
        from_commit: Only those before this commit, the latest first; None = all, the earliest first.
    """
    starts = [Start(0, None), *(Start(one.number, one) for one in recording.snapshots(reader))]
    for start in starts:
        _look_ahead(recording, reader, start)
    if from_commit is None:
        return starts
    return [start for start in reversed(starts) if start.number < from_commit] or starts[:1]


def _look_ahead(recording: Recording, reader: str, start: Start) -> None:
    """Note the times of the first commits after ``start``, and what is missing of the journal or the streams."""
    times: list[int] = []
    for _, entry in recording.journal(reader, start.number):
        if len(times) < 2:
            times.append(entry.ts_batch)
        for span in entry.ranges:
            start.needs.setdefault(span.stream, span.first)
    start.first_times = (times[0] if times else None, times[1] if len(times) > 1 else None)
    if not times and start.snapshot is None:
        start.lacks = "the journal does not reach back to it"
    for stream, first in sorted(start.needs.items()):
        oldest = recording.first_entry(stream)
        if oldest is None or entry_order(oldest) > entry_order(first):
            start.lacks = f"'{stream}' is recorded from {oldest} on, {first} is needed"
