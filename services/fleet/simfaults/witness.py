"""Looks at every write that lands on the bus and says what is wrong with it, at once.

What a witness checks of each commit besides what is in its events: it comes from the newest holder of the lease; it
goes on exactly where the reader's last one ended; its outputs are those its journal entry says; and the sequence
numbers of its producer go on without a gap or a repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libs.contracts.fleet import READERS
from libs.contracts.market import BarClosed, CloseReceived, StepClosed
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import HaltChanged
from libs.contracts.system import EventDeadLettered
from libs.contracts.topics import CODEC, HALT, PORTFOLIO_SNAPSHOT
from libs.engine.journal import decode_journal, output_hash
from libs.messagebus.memory_state import number_of
from libs.messagebus.transport import START, Commit
from services.fleet.report import RunReport
from services.fleet.simfaults.money import MoneyAccount
from services.fleet.simfaults.orders import Equities, OrderAccount
from services.fleet.simfaults.server import Landed
from services.strategy.gate import GateLimits


class Witness:
    """The memory of one run.

    Args:
        limits, patience_ns: See :class:`~services.fleet.simfaults.orders.OrderAccount`.

    Attributes:
        wrong: What was found wrong, in order.
        report: As ``nautilus simulate`` keeps it; the tape is that of the order book of record.
        events: Published by anybody.
        dead: Errors of dead letters.
    """

    def __init__(self, limits: GateLimits, patience_ns: int) -> None:
        self.wrong: list[str] = []
        self.report = RunReport()
        self.orders = OrderAccount(limits, patience_ns)
        self.money = MoneyAccount(self.orders.fills)
        self.equities = Equities()
        self.events = 0
        self.dead: list[str] = []
        self._halts: list[tuple[int, HaltChanged]] = []
        self._sequences: dict[str, int] = {}
        self._commits: dict[str, int] = {}
        self._positions: dict[str, dict[str, int]] = {}
        self.epochs: dict[str, int] = {}
        self._commands: dict[str, tuple[str, int]] = {}
        self._market: set[tuple[str, int, str, str]] = set()

    def blame(self, what: str) -> None:
        """Note that something is wrong."""
        self.wrong.append(what)

    def acquired(self, reader: str, epoch: int) -> None:
        """Somebody took the lease of ``reader``."""
        if epoch <= self.epochs.get(reader, 0):
            self.blame(f"epoch of '{reader}' must be above {self.epochs[reader]}, was {epoch}")
        self.epochs[reader] = epoch

    def landed(self, write: Landed) -> None:
        """A write landed."""
        before: Mapping[str, int] = {}
        after: Mapping[str, int] = {}
        if write.commit is not None:
            before = dict(self._positions.get(write.producer, {}))
            self.wrong.extend(self._committed(write.commit, write))
            after = self._positions.get(write.producer, {})
        known = self._known_halts(before, after) if write.producer == "strategy" else {}
        valued = (before.get(PORTFOLIO_SNAPSHOT.stream, 0), after.get(PORTFOLIO_SNAPSHOT.stream, 0))
        equities = self.equities.known(*valued) if write.producer == "strategy" else {}
        for entry in write.outputs:
            batch = CODEC.decode(entry.data)
            self.wrong.extend(self._numbered(write.producer, batch.producer, batch.sequence, len(batch.events)))
            self.report.observe(entry.stream, batch)
            if entry.stream.startswith("inbox."):
                for index in range(len(batch.events)):
                    self._commands[batch.event_id(index)] = entry.stream, number_of(entry.entry_id)
            for event in batch.events:
                self._see(event, number_of(entry.entry_id), known, equities)
        if write.producer == "strategy":
            for number, halt in self._halts:
                if before.get(HALT.stream, 0) < number <= after.get(HALT.stream, 0) and halt.halted:
                    self.wrong.extend(self.orders.when_halted(halt))

    def _see(
        self, event: Any, number: int, halts: dict[tuple[str, str], HaltChanged], equities: dict[str, Any]
    ) -> None:
        self.events += 1
        if isinstance(event, HaltChanged):
            self._halts.append((number, event))
        elif isinstance(event, BarClosed | CloseReceived):
            self._once((type(event).__name__, event.ts_event, event.symbol, event.interval))
        elif isinstance(event, StepClosed):
            self._once((type(event).__name__, event.ts_event, event.stage, ""))
        elif isinstance(event, EventDeadLettered):
            self.dead.append(event.error)
        elif isinstance(event, PortfolioSnapshotTaken):
            self.equities.see(number, event)
        self.wrong.extend(self.orders.see(event, equities, halts))
        self.wrong.extend(self.money.see(event))

    def _once(self, key: tuple[str, int, str, str]) -> None:
        if key in self._market:
            self.blame(f"{key[0]} of {key[1]} was published twice: {key[2]} {key[3]}")
        self._market.add(key)

    def _known_halts(self, before: Mapping[str, int], after: Mapping[str, int]) -> dict[tuple[str, str], HaltChanged]:
        known: dict[tuple[str, str], HaltChanged] = {}
        for number, halt in self._halts:
            key = halt.scope, halt.target
            if number <= before.get(HALT.stream, 0) and halt.halted:
                known[key] = halt
            elif number <= after.get(HALT.stream, 0) and not halt.halted:
                known.pop(key, None)
        return known

    # -- a commit ---------------------------------------------------------------------------------

    def _committed(self, commit: Commit, write: Landed) -> Iterator[str]:
        reader = commit.reader
        if commit.epoch != self.epochs.get(reader, 0):
            yield f"commit of '{reader}' landed under epoch {commit.epoch}, the newest is {self.epochs.get(reader, 0)}"
        if commit.number != self._commits.get(reader, 0) + 1:
            yield f"commit {commit.number} of '{reader}' landed after commit {self._commits.get(reader, 0)}"
        self._commits[reader] = commit.number
        entry = decode_journal(commit.journal)
        if output_hash(commit.outputs) != entry.output_hash or len(write.outputs) != len(commit.outputs):
            yield f"commit {commit.number} of '{reader}' put other outputs on the streams than its journal says"
        positions = self._positions.setdefault(reader, {})
        for span in entry.ranges:
            first, last, held = number_of(span.first), number_of(span.last), positions.get(span.stream, 0)
            if first != held + 1 or last - first + 1 != span.count:
                yield (
                    f"commit {commit.number} of '{reader}' handled {span.count} entries {first} to {last} of "
                    f"'{span.stream}' after entry {held}"
                )
            positions[span.stream] = last
        for stream, position in commit.positions.items():
            if positions.get(stream, 0) != number_of(position):
                yield f"commit {commit.number} of '{reader}' moved '{stream}' to {position}, which it did not handle"
                positions[stream] = number_of(position)

    def position(self, reader: str, stream: str) -> int:
        """Number of the last entry of ``stream`` that ``reader`` has committed past."""
        return self._positions.get(reader, {}).get(stream, number_of(START))

    def is_carried_out(self, reader: str, event_id: str) -> bool:
        """Whether ``reader`` has committed past a command."""
        stream, number = self._commands.get(event_id, ("", 1))
        return self.position(reader, stream) >= number

    def _numbered(self, writer: str, producer: str, sequence: int, count: int) -> Iterator[str]:
        expected = self._sequences.get(producer, 0)
        if writer != producer:
            yield f"'{writer}' published under the name of '{producer}'"
        if sequence != expected:
            yield f"events of '{producer}' must go on at {expected}, was {sequence}"
        self._sequences[producer] = sequence + count

    # -- quiet ------------------------------------------------------------------------------------

    def when_quiet(self, is_venue_silent: bool) -> None:
        """Nothing is on its way; ``is_venue_silent`` = the venue keeps something back."""
        if not is_venue_silent:
            self.wrong.extend(self.orders.when_quiet())
        self.wrong.extend(self.money.when_quiet())

    def commits(self) -> int:
        """Commits of all engines."""
        return sum(self._commits[name] for name in READERS if name in self._commits)
