"""The whole fleet on the memory transport under a test clock, as fast as it goes.

A simulation is lockstep by nature: every message of a timestamp is handled before the next timestamp is published.
The engines, the codec, the commit and the contracts are those of production; only who calls ``process`` differs, and
that a handler which asks the machine for anything ends the run (:mod:`libs.engine.guards`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from libs.clock import TestClock
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.component import Component
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Engine, Outbox
from libs.engine.guards import guarded
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import START, Commit, Entry, Lease, Output

#: Entries a member takes from each stream in one turn.
TURN_ENTRIES = 256


@dataclass(slots=True)
class _Member:
    engine: Engine
    core: EngineCore
    lease: Lease
    positions: dict[str, str]
    commits: int = 0


@dataclass(slots=True)
class Simulation:
    """Drives the components synchronously.

    Args:
        components: The fleet.
        start_ns: Where the clocks begin; at or before the first timestamp.
        schedule_seed: None serves members in their order. A seed serves them in a random order, a random number of
            entries at a time and streams in random order: no published decision may differ (the tests hold it to that).
        observe: Called with every decoded batch of every stream, after the step that published it.
    """

    components: Sequence[Component]
    start_ns: int
    schedule_seed: int | None = None
    observe: Callable[[str, RecordBatch], None] | None = None
    transport: MemoryTransport = field(default_factory=MemoryTransport)
    events: int = 0
    dead: list[str] = field(default_factory=list)
    _members: list[_Member] = field(default_factory=list)
    _random: random.Random | None = None
    _sequence: Iterator[int] = field(default_factory=lambda: count(0))

    def __post_init__(self) -> None:
        """Build and start every member."""
        if self.schedule_seed is not None:
            self._random = random.Random(self.schedule_seed)
        for component in self.components:
            clock, outbox = TestClock(self.start_ns), Outbox()
            engine = component.make_engine(clock, outbox)
            core = EngineCore(engine, clock, outbox, CODEC, REGISTRY, follow_events=True)
            streams = list(core.streams)
            lease = self.transport.acquire_nowait(engine.name, streams)
            member = _Member(engine, core, lease, dict.fromkeys(streams, START))
            self._members.append(member)
            with guarded(engine.name):
                batch = core.start(self.start_ns)
            self._commit(member, batch)

    def engine(self, name: str) -> Engine:
        """A member's engine, for reading its state.

        Raises:
            KeyError: If there is no such member.
        """
        for member in self._members:
            if member.engine.name == name:
                return member.engine
        raise KeyError(f"engine must be a member of the simulation, was '{name}'")

    def send(self, command: Event) -> None:
        """Put a command into its inbox and run until the fleet is quiet."""
        self.post(command)
        self.drain()

    def post(self, command: Event) -> None:
        """Put a command into its inbox."""
        batch = RecordBatch("source", next(self._sequence), self.start_ns, [command])
        stream = REGISTRY.topic_of(command).stream
        self.transport.append_nowait("source", batch.sequence, 1, [Output(stream, CODEC.encode(batch))])

    def drain(self) -> None:
        """Serve members until no one has anything to read, then let the observer see what was published."""
        names = [member.engine.name for member in self._members]
        while not self.transport.quiescence_nowait(names).quiet:
            order = list(self._members)
            if self._random is not None:
                self._random.shuffle(order)
            for member in order:
                entries = self._take(member)
                if entries:
                    with guarded(member.engine.name):
                        batch = member.core.process(entries, member.core.clock.timestamp_ns())
                    self._commit(member, batch)
        for stream, data in self.transport.drop_consumed_nowait():
            if self.observe is not None:
                self.observe(stream, CODEC.decode(data))

    def _take(self, member: _Member) -> list[Entry]:
        if self._random is None:
            return self.transport.read_nowait(member.positions, TURN_ENTRIES)
        streams = list(member.positions)
        self._random.shuffle(streams)
        some = streams[: self._random.randint(1, len(streams))]
        return self.transport.read_nowait({name: member.positions[name] for name in some}, self._random.randint(1, 3))

    def _commit(self, member: _Member, batch: Batch) -> None:
        member.commits += 1
        member.positions.update(batch.positions)
        self.events += batch.events
        self.dead.extend(letter.error for letter in batch.dead)
        self.transport.commit_nowait(
            Commit(
                member.engine.name, member.lease.epoch, member.commits, batch.positions, batch.outputs, batch.journal
            )
        )
