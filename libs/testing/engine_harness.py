"""Drives one engine without a bus: events in, published events out, through the real core and codec.

Every handler runs under :mod:`libs.engine.guards`: one that asks the machine for the time, chance or a file fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from libs.clock import Clock, TestClock
from libs.contracts.market import STEP_STAGES, StepClosed, StepStage
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Engine, Outbox
from libs.engine.errors import CommandRefused
from libs.engine.guards import guarded
from libs.engine.state_codec import decode_state
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event
from libs.messagebus.transport import Entry

E = TypeVar("E", bound=Event)


class EngineHarness:
    """One engine under test.

    Example::

        harness = EngineHarness(lambda clock, outbox: FeaturesEngine(clock, outbox, FeaturesSettings()))
        published = harness.send(CloseReceived(ts, "AAPL.XNAS", "1d", 101.5, "test"))
        harness.close_step(ts)                      # StepClosed mark, assess, decide

    Attributes:
        engine: The engine, typed as ``Any`` so that tests may look at its state.
        dead: Errors of events whose handler raised; ``send`` raises ``AssertionError`` on one unless ``allow_dead``.
    """

    def __init__(
        self,
        make_engine: Callable[[Clock, Outbox], Engine],
        start_ns: int = 0,
        allow_dead: bool = False,
    ) -> None:
        self._make_engine = make_engine
        self._allow_dead = allow_dead
        self.dead: list[str] = []
        self.published: list[Event] = []
        self._sequence = 0
        self._step = 0
        self.engine: Any = None
        self._core: EngineCore
        self._build(start_ns)
        with guarded(self._core.engine.name):
            started = self._core.start(start_ns)
        self._collect(started)

    def _build(self, start_ns: int) -> None:
        clock = TestClock(start_ns)
        outbox = Outbox()
        self.engine = self._make_engine(clock, outbox)
        self._core = EngineCore(self.engine, clock, outbox, CODEC, REGISTRY, follow_events=True)

    def send(self, *events: Event) -> list[Event]:
        """Handle events in this order, as one batch per run of equal streams; returns what was published."""
        before = len(self.published)
        for event in events:
            stream = REGISTRY.topic_of(event).stream
            batch = RecordBatch("test", self._sequence, self._core.clock.timestamp_ns(), [event])
            self._sequence += 1
            entry = Entry(stream, f"{self._sequence}-0", CODEC.encode(batch))
            with guarded(self.engine.name):
                result = self._core.process([entry], max(event.ts_event, self._core.clock.timestamp_ns()))
            self._collect(result)
            for reply in result.replies.values():
                if isinstance(reply, CommandRefused) and not result.dead:
                    raise reply
            self.reply = next(iter(result.replies.values()), None)
        return self.published[before:]

    def close_step(self, ts_event: int, stages: Sequence[StepStage] = STEP_STAGES) -> list[Event]:
        """Close a timestamp: ``StepClosed`` for each stage."""
        self._step += 1
        return [event for stage in stages for event in self.send(StepClosed(ts_event, stage, self._step, "test"))]

    def of_type(self, kind: type[E]) -> list[E]:
        """Everything published so far of one type."""
        return [event for event in self.published if isinstance(event, kind)]

    def restart(self) -> None:
        """Replace the engine by a fresh one restored from its encoded snapshot."""
        with guarded(self.engine.name):
            encoded = self._core.encode_state()
        state = decode_state(encoded, self.engine.state_type)
        clock_ns, timers, sequence = (
            self._core.clock.timestamp_ns(),
            self._core.clock.timer_states(),
            self._core.sequence,
        )
        self._build(clock_ns)
        self._core.clock.restore_timers(timers, lambda _name: None)
        with guarded(self.engine.name):
            self.engine.restore(state)
        self._core.sequence = sequence

    def _collect(self, batch: Batch) -> None:
        for output in batch.outputs:
            self.published.extend(CODEC.decode(output.data).events)
        self.dead.extend(letter.error for letter in batch.dead)
        if batch.dead and not self._allow_dead:
            raise AssertionError(f"handler raised: {batch.dead[-1].error}")


def check_snapshot_is_complete(
    make_engine: Callable[[Clock, Outbox], Engine], before: Iterable[Event], after: Iterable[Event]
) -> None:
    """Check that ``restore(snapshot(state))`` behaves identically on the events that follow.

    Raises:
        AssertionError: At the first published event that differs, or when nothing was published at all.
    """
    kept, restored = EngineHarness(make_engine), EngineHarness(make_engine)
    for event in before:
        kept.send(event)
        restored.send(event)
    restored.restart()
    compared = 0
    for event in after:
        expected, found = kept.send(event), restored.send(event)
        assert found == expected, f"after {event!r}: published {found!r}, without the restart {expected!r}"
        compared += len(expected)
    assert compared, "the events after the restart published nothing, so nothing was compared"
