"""What a run of the fleet came to, gathered from the events it published."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from libs.contracts.analysis import PerformanceCalculated
from libs.contracts.fleet import DEFAULT_PORTFOLIO
from libs.contracts.orders import OrderDenied, OrderFilled, OrderSubmitted
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import BreachDetected
from libs.contracts.tape import EMPTY, PREFIX, extend_tape
from libs.contracts.topics import REGISTRY
from libs.messagebus.envelope import RecordBatch


@dataclass(slots=True)
class RunReport:
    """Counts and last words of one run.

    Attributes:
        order_tape: Hash of every order event and fill in publication order.
    """

    orders: int = 0
    denied: int = 0
    fills: int = 0
    fees: Decimal = Decimal(0)
    breaches: int = 0
    order_tape: str = EMPTY
    tape_events: int = 0
    snapshot: PortfolioSnapshotTaken | None = None
    performance: PerformanceCalculated | None = None
    _names: dict[type[Any], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note which event types are on the tape."""
        self._names = {kind: topic.name for kind, topic in REGISTRY.by_event.items()}

    def observe(self, _stream: str, batch: RecordBatch) -> None:
        """Take one published batch into account."""
        for event in batch.events:
            kind = type(event)
            if self._names[kind].startswith(PREFIX):
                self.order_tape = extend_tape(self.order_tape, event)
                self.tape_events += 1
            if kind is OrderSubmitted:
                self.orders += 1
            elif kind is OrderDenied:
                self.denied += 1
            elif kind is OrderFilled:
                self.fills += 1
                self.fees += event.commission
            elif kind is BreachDetected:
                self.breaches += 1
            elif kind is PortfolioSnapshotTaken and event.portfolio_id == DEFAULT_PORTFOLIO:
                self.snapshot = event
            elif kind is PerformanceCalculated and event.portfolio_id == DEFAULT_PORTFOLIO:
                self.performance = event

    def metric(self, name: str) -> float | None:
        """A metric of the last performance event, None with a reason in :meth:`missing`."""
        return self.performance.metrics.get(name) if self.performance else None

    def missing(self, name: str) -> str:
        """Why a metric has no value."""
        if self.performance is None:
            return "no performance was published"
        return self.performance.missing.get(name, "not computed by analytics")
