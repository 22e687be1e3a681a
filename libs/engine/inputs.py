"""What a host knows of its inputs: arrivals by topic, and what ended in the dead letters."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.engine.core import Batch
from libs.engine.metrics import HostMetrics


@dataclass(slots=True)
class InputState:
    """One input topic; times are the host's wall clock."""

    last_event_ns: int = 0
    count: int = 0


@dataclass(slots=True)
class InputBook:
    """Counts what a host handled.

    Attributes:
        topics: State by topic name.
        events: Events read, handled or not.
        dead_letters: Events that went to the dead letters since start.
        last_dead_letter_ns: Monotonic time of the newest, 0 = none.
    """

    engine: str
    clock: Clock
    metrics: HostMetrics
    topics: dict[str, InputState] = field(default_factory=dict)
    events: int = 0
    dead_letters: int = 0
    last_dead_letter_ns: int = 0

    def note(self, batch: Batch, handler_seconds: float) -> None:
        """Take account of one handled batch."""
        self.metrics.observe_batch(batch.events_in, batch.events_out, batch.events, handler_seconds)
        now = self.clock.timestamp_ns()
        for topic, count in batch.events_in.items():
            state = self.topics.setdefault(topic, InputState())
            state.last_event_ns = now
            state.count += count
        self.events += batch.events
        if batch.dead:
            self.dead_letters += len(batch.dead)
            self.last_dead_letter_ns = monotonic_ns()
            self.metrics.dead_letter(len(batch.dead))
            log = structlog.get_logger("host").bind(engine=self.engine)
            for letter in batch.dead:
                log.error("event_dead_lettered", topic=letter.topic, event_id=letter.event_id, error=letter.error)
