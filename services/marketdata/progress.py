"""What the replay observes of the world: whom it waits for, how long a timestamp takes, what its sources hold.

None of it is part of any state machine: it depends on the machine's speed and is not the same in two runs. The replay
writes it, the HTTP surface and the metrics read it, all in one event loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from services.marketdata.stepping import DatasetSummary

#: Upper bounds of the latency histogram, seconds.
LATENCY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class LatencyHistogram:
    """Counts of durations below each of :data:`LATENCY_BOUNDS`, as Prometheus wants them."""

    counts: list[int] = field(default_factory=lambda: [0] * len(LATENCY_BOUNDS))
    count: int = 0
    total_seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.count += 1
        self.total_seconds += seconds
        for position, bound in enumerate(LATENCY_BOUNDS):
            if seconds <= bound:
                self.counts[position] += 1


@dataclass(slots=True)
class ReplayProgress:
    """One replay, as seen from outside.

    Attributes:
        summary: What the configured sources hold; None until they have been read once.
        waiting_for: Readers that have not caught up, empty while it waits for none.
        waiting_since_ns: Monotonic time since when, 0 while it waits for none.
        transport_error: The newest failure to reach the bus, ``""`` after it answered.
        ingest: From a timestamp's records being handed to the bus until every reader has committed past them.
        step: The same for a whole timestamp with its three stages.
    """

    summary: DatasetSummary | None = None
    waiting_for: list[str] = field(default_factory=list)
    waiting_since_ns: int = 0
    transport_error: str = ""
    ingest: LatencyHistogram = field(default_factory=LatencyHistogram)
    step: LatencyHistogram = field(default_factory=LatencyHistogram)
