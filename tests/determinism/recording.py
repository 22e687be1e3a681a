"""What every engine of a simulated fleet read, batch by batch, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date

import msgspec

from libs.contracts.topics import CODEC
from libs.engine.journal import decode_journal
from libs.engine.state_codec import encode_state
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import Commit, Entry
from services.fleet.members import engine_components
from services.fleet.simulation import Simulation
from services.marketdata.adapters.dataset import open_dataset, survey
from services.marketdata.settings import MarketDataSettings
from services.marketdata.stepping import REPLAY_FEED, closing_command, opening_command, step_groups
from tests.determinism.interventions import interventions

#: 400 days: a year in which the forecasts learn, then cuts with at least 1,000 events behind them in every engine.
FIRST, LAST = date(1997, 12, 15), date(1999, 7, 20)
#: A cut has at least so many events behind it, and this share of all.
LEAST_EVENTS, LEAST_SHARE = 1_000, 0.2


class Turn(msgspec.Struct, frozen=True):
    """One batch: its input, and the hash of its outputs in the recorded run.

    Attributes:
        entries: ``(stream, entry id, data)``; none for the engine's start.
    """

    ts: int
    entries: list[tuple[str, str, bytes]]
    events: int
    output_hash: bytes


class Recording(msgspec.Struct):
    """A run of the fleet.

    Attributes:
        turns, final_states: By engine.
        published: How many events of each type the whole fleet published.
    """

    start_ns: int
    turns: dict[str, list[Turn]]
    final_states: dict[str, bytes]
    published: dict[str, int]

    def cuts(self, engine: str) -> list[int]:
        """Turns before which an engine is cut: the latest allowed and four before it, so every stage of a timestamp."""
        turns = self.turns[engine]
        wanted = max(LEAST_EVENTS, LEAST_SHARE * sum(turn.events for turn in turns))
        cut = len(turns)
        behind = 0
        while behind < wanted:
            cut -= 1
            behind += turns[cut].events
        return list(range(cut - 4, cut + 1))

    def events_between(self, engine: str, cut: int, end: int) -> int:
        """Events an engine handles from turn ``cut`` on, before turn ``end``."""
        return sum(turn.events for turn in self.turns[engine][cut:end])

    def checkpoints(self, engine: str) -> tuple[int, int]:
        """Turns before which states are compared: 1,000 events behind the latest cut, and the end."""
        turns = self.turns[engine]
        end, events = self.cuts(engine)[-1], 0
        while events < LEAST_EVENTS:
            events += turns[end].events
            end += 1
        return end, len(turns)


def market_settings() -> MarketDataSettings:
    """What is replayed."""
    return MarketDataSettings(start_date=FIRST, end_date=LAST)


class _Tap(MemoryTransport):
    """Notes what is read and committed; a simulation commits each batch before it reads the next."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: dict[str, list[Turn]] = {}
        self._read: list[Entry] = []

    def read_nowait(self, positions: Mapping[str, str], count: int) -> list[Entry]:
        self._read = super().read_nowait(positions, count)
        return self._read

    def commit_nowait(self, commit: Commit) -> None:
        super().commit_nowait(commit)
        journal = decode_journal(commit.journal)
        entries = self._read if journal.ranges else []
        events = sum(len(CODEC.decode(entry.data).events) for entry in entries)
        plain = [(entry.stream, entry.entry_id, entry.data) for entry in entries]
        self.turns.setdefault(commit.reader, []).append(Turn(journal.ts_batch, plain, events, journal.output_hash))


def record() -> Recording:
    """Simulate the fleet with interventions, and note what each engine read.

    Raises:
        AssertionError: If an event could not be handled or a command was refused: it would test nothing.
    """
    settings = market_settings()
    summary = survey(settings)
    tap = _Tap()
    published: Counter[str] = Counter()

    def observe(_: str, batch: RecordBatch) -> None:
        published.update(type(event).__name__ for event in batch.events)

    components = engine_components({"marketdata": settings})
    simulation = Simulation(components, summary.first_ns, observe=observe, transport=tap)
    simulation.send(opening_command(summary, 0.0))
    for step, batch in enumerate(open_dataset(settings)):
        for command in interventions(simulation, step, batch.ts_event):
            simulation.send(command)
        for group in step_groups(REPLAY_FEED, batch):
            for command in group:
                simulation.post(command)
            simulation.drain()
    simulation.send(closing_command(summary, 0.0))
    assert not simulation.dead, simulation.dead
    states = {name: encode_state(simulation.engine(name).snapshot()) for name in sorted(tap.turns)}
    return Recording(summary.first_ns, tap.turns, states, dict(published))
