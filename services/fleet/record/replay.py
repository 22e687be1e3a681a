"""Today's code over a recorded run of one engine: the same outputs, or the first that differs.

It is recovery without a bus: a snapshot (or the beginning), then each journal entry's input through
``EngineCore.process``, and the hash of what comes out against the hash that was journaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.clock import TestClock
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.component import Component
from libs.engine.core import Batch, EngineCore
from libs.engine.divergence import first_difference, published_events, recorded_outputs
from libs.engine.engine import Outbox
from libs.engine.errors import SnapshotError
from libs.engine.journal import JournalEntry
from libs.engine.snapshot import restore_image
from libs.messagebus.transport import Entry, StoredSnapshot
from services.fleet.record.comparison import Divergence, compared
from services.fleet.record.errors import ReplayImpossibleError
from services.fleet.record.recording import Recording
from services.fleet.record.starts import Start, starts_of
from services.fleet.record.stopping import StopPoint, cut_after


@dataclass(slots=True)
class ReplayRun:
    """What a replay came to.

    Attributes:
        started_after: Commit of the snapshot it began with, 0 = the beginning.
        commits, events, outputs: Replayed and found equal: commits, events read, events published.
        last_commit: The last commit done, in part where ``stopped`` says so.
        divergence: None where everything was identical.
        stopped: Where ``until`` stopped it, in words; ``""`` at the end of the recording.
        writers: Versions of the code that wrote what was replayed, in order of appearance.
        remarks: What was skipped and why.
        core: The engine where the replay ended.
    """

    engine: str
    started_after: int
    core: EngineCore
    commits: int = 0
    events: int = 0
    outputs: int = 0
    last_commit: int = 0
    divergence: Divergence | None = None
    stopped: str = ""
    writers: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def as_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "engine": self.engine,
            "identical": self.divergence is None,
            "started_after_commit": self.started_after,
            "commits": self.commits,
            "events": self.events,
            "outputs": self.outputs,
            "last_commit": self.last_commit,
            "stopped": self.stopped or None,
            "recorded_by": self.writers,
            "replayed_by": str(self.core.writer),
            "remarks": self.remarks,
            "divergence": self.divergence.as_plain() if self.divergence else None,
        }


async def replay(
    recording: Recording, component: Component, *, from_commit: int | None = None, until: str = ""
) -> ReplayRun:
    """Replay one engine.

    Args:
        component: The engine as it is composed today.
        from_commit: Begin as late as possible at or before this commit; None = as early as possible.
        until: A commit number, or the id of an event the engine read or published: stop right after it.

    Raises:
        ReplayImpossibleError: If the recording does not hold what is needed, or ``until`` is not in it.
    """
    name = component.name
    if name not in recording.header.readers:
        known = ", ".join(recording.header.readers)
        raise ReplayImpossibleError(f"engine must be one of the recorded {known}, was '{name}'")
    stop = await StopPoint.of(until, name, recording)
    run = _begin(recording, component, from_commit)
    if stop.commit is not None and stop.commit <= run.started_after:
        raise ReplayImpossibleError(
            f"commit {stop.commit} of '{name}' must come after {run.started_after}, where this replay begins; the "
            "recording does not reach back further"
        )
    for number, entry in recording.journal(name, run.started_after):
        entries = _inputs(recording, name, number, entry)
        part = cut_after(entries, stop.event_id, CODEC) if stop.event_id else None
        if part is not None:
            run.core.process(part, entry.ts_batch)
            run.last_commit, run.stopped = number, f"after event {stop.event_id}, in commit {number}"
            return run
        batch = run.core.start(entry.ts_batch) if number == 1 else run.core.process(entries, entry.ts_batch)
        run.last_commit = number
        if (writer := entry.code + (f" with {entry.strategies}" if entry.strategies else "")) not in run.writers:
            run.writers.append(writer)
        if batch.output_hash != entry.output_hash:
            run.divergence = await _explain(recording, run.core, number, entry, entries, batch)
            return run
        run.commits += 1
        run.events += batch.events
        run.outputs += entry.outputs
        if stop.is_after(number, entry):
            run.stopped = f"after commit {number}"
            return run
    if (end := recording.last_commit(name)) > run.last_commit:
        run.remarks.append(
            f"the recorded journal has a hole behind commit {run.last_commit}; --from-commit {end} replays what follows"
        )
    if until:
        raise ReplayImpossibleError(
            f"'{until}' must be a commit of '{name}' up to {run.last_commit}, or an event it read or published after "
            f"commit {run.started_after}, was none"
        )
    return run


# -- the beginning --------------------------------------------------------------------------------


def _begin(recording: Recording, component: Component, from_commit: int | None) -> ReplayRun:
    remarks: list[str] = []
    refused: list[str] = []
    for start in starts_of(recording, component.name, from_commit):
        if start.lacks:
            refused.append(f"cannot begin after commit {start.number}: {start.lacks}")
            remarks += refused[-1:] if start.snapshot is not None else []  # a journal is expected to be trimmed
            continue
        try:
            core = _core(component, start)
        except SnapshotError as error:
            refused.append(str(error))
            remarks.append(str(error))
            continue
        return ReplayRun(component.name, start.number, core, last_commit=start.number, remarks=remarks)
    raise ReplayImpossibleError(
        f"'{component.name}' cannot be replayed from the recording of {recording.header.source}: {'; '.join(refused)}"
    )


def _core(component: Component, start: Start) -> EngineCore:
    """The engine in the state of ``start``, with its clock following the market if it did when it was recorded."""
    core = _built(component, start.snapshot, follow_events=False)
    first, second = start.first_times
    # A host that follows the market leaves the clock where the last event set it, so a batch begins at exactly the time
    # at which the one before ended; a live one sets the wall clock, which has moved.
    before = core.clock.timestamp_ns() if start.snapshot is not None else first
    follows = (first if start.snapshot is not None else second) == before
    return _built(component, start.snapshot, follow_events=True) if follows else core


def _built(component: Component, snapshot: StoredSnapshot | None, *, follow_events: bool) -> EngineCore:
    clock, outbox = TestClock(), Outbox()
    core = EngineCore(component.make_engine(clock, outbox), clock, outbox, CODEC, REGISTRY, follow_events=follow_events)
    if snapshot is not None:
        restore_image(core, snapshot)
    return core


def _inputs(recording: Recording, name: str, number: int, entry: JournalEntry) -> list[Entry]:
    entries: list[Entry] = []
    for span in entry.ranges:
        found = recording.entries(span.stream, span.first, span.last, span.count)
        if len(found) != span.count:
            raise ReplayImpossibleError(
                f"commit {number} of '{name}' needs {span.count} entries of '{span.stream}' from {span.first} to "
                f"{span.last}, was {len(found)} in the recording; record again"
            )
        entries.extend(found)
    return entries


# -- the difference -------------------------------------------------------------------------------


async def _explain(
    recording: Recording, core: EngineCore, number: int, entry: JournalEntry, entries: Sequence[Entry], batch: Batch
) -> Divergence:
    name = core.engine.name
    found = published_events((output.stream, CODEC.decode(output.data)) for output in batch.outputs)
    # The recording reads as a bus does; nothing else of one is used.
    source: Any = recording
    numbers = range(entry.first_sequence, entry.first_sequence + entry.outputs)
    recorded = await recorded_outputs(source, CODEC, REGISTRY, name, numbers)
    counts = (entry.outputs, len(found))
    if len(recorded) < entry.outputs:
        gone = f"{entry.outputs - len(recorded)} of the recorded outputs are not in the recording (trimmed before it)"
        return Divergence(number, -1, *counts, "", None, None, [], gone)
    difference = first_difference(recorded, found, entry.first_sequence)
    if difference is None:
        text = "the recorded outputs are equal to today's and not to the hash of the journal: one of them was changed"
        return Divergence(number, -1, *counts, "", None, None, [], text)
    published = difference.recorded or difference.replayed
    cause = published.cause if published is not None else ""
    return compared(number, counts, _cause_text(entries, cause), difference)


def _cause_text(entries: Sequence[Entry], cause: str) -> str:
    for entry in entries:
        batch, _ = CODEC.salvage(entry.data)
        for index, event in enumerate(batch.events):
            if cause and batch.event_id(index) == cause:
                return f"{cause}, {REGISTRY.topic_of(event).name} on {entry.stream}: {event!r}"
    return cause or "no event (a timer, or the start of the engine)"
