"""A paper venue that misbehaves on purpose: the real one, with what it says kept back, doubled or lost.

It is a state machine like any other: what goes wrong follows from the number of the order, and what is kept back is in
its state, so it can be killed and recovered like the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from libs.clock import Clock
from libs.contracts.fleet import PAPER_VENUE
from libs.contracts.market import BarClosed, CloseReceived, QuoteReceived, StepClosed
from libs.contracts.orders import ExecutionReported, OrderSubmitted
from libs.engine.engine import Outbox
from libs.engine.references import Named
from libs.messagebus.topic import Event
from services.fleet.simfaults.faults import Fault
from services.strategy.paper.engine import PaperVenueEngine
from services.strategy.paper.state import PaperState
from services.strategy.paper.terms import PaperTerms


class Held(msgspec.Struct, frozen=True):
    """A report that is kept back until a step."""

    until_step: int
    report: ExecutionReported


class UnreliableState(PaperState):
    """The venue's state and its misbehaviour.

    Attributes:
        taken: Orders that came, rejected ones included; faults are addressed by it.
        number_of: Number by client order id, of the orders something happens to.
        held: Reports kept back, in order.
        silent_until: Step before which nothing is said at all.
        step: The last one closed.
    """

    taken: int = 0
    number_of: dict[str, int] = {}
    held: list[Held] = []
    silent_until: int = 0
    step: int = 0


class _Filter:
    """Stands between the venue and its outbox, whichever way the venue publishes."""

    def __init__(self, outbox: Outbox, say: Callable[[Event], None]) -> None:
        self._outbox = outbox
        self._say = say

    def publish(self, event: Event) -> None:
        """Let the venue say it, or not."""
        self._say(event)

    def publish_because(self, event: Event, because: Iterable[str], named: Named | None = None) -> None:
        """Likewise; what a report was computed from is left out, because one kept back would name another batch."""
        self._say(event)

    @property
    def event_id(self) -> str:
        """See :attr:`Outbox.event_id`."""
        return self._outbox.event_id


class UnreliableVenue(PaperVenueEngine):
    """See the module.

    Args:
        faults: What happens to which order; others are left alone.
    """

    name = PAPER_VENUE
    state_type: type[msgspec.Struct] = UnreliableState

    def __init__(self, clock: Clock, outbox: Outbox, terms: PaperTerms, faults: Sequence[Fault]) -> None:
        self._real_outbox = outbox
        self._faults: Mapping[int, Fault] = {fault.nth: fault for fault in faults}
        super().__init__(clock, _Filter(outbox, self._say), terms)  # type: ignore[arg-type]
        self.restore(UnreliableState())

    def on_order_submitted(self, event: OrderSubmitted) -> None:
        """Take an order, unless this one is to be rejected."""
        state = self._own
        if self._book.knows(event.client_order_id):
            super().on_order_submitted(event)
            return
        state.taken += 1
        fault = self._faults.get(state.taken)
        if fault is not None:
            state.number_of[event.client_order_id] = state.taken
            if fault.kind == "venue_disconnect":
                state.silent_until = max(state.silent_until, state.step + fault.count)
            if fault.kind == "venue_reject":
                state.done[event.client_order_id] = event.side
                state.reports += 1
                report_id = f"{PAPER_VENUE}-R{state.reports:08d}"
                now = max(event.ts_event, self._clock.timestamp_ns())
                self._say(
                    ExecutionReported(
                        now,
                        PAPER_VENUE,
                        "rejected",
                        report_id,
                        event.client_order_id,
                        "",
                        event.symbol,
                        event.side,
                        reason="not today",
                    )
                )
                return
        super().on_order_submitted(event)

    def on_step_closed(self, event: StepClosed) -> None:
        """Count the steps, in a stage in which no order comes."""
        super().on_step_closed(event)
        if event.stage == "mark":
            self._own.step += 1

    def on_bar_closed(self, event: BarClosed) -> None:
        """Say what is due with the first price of a timestamp, then match."""
        self._release()
        super().on_bar_closed(event)

    def on_close_received(self, event: CloseReceived) -> None:
        """Say what is due with the first price of a timestamp, then match."""
        self._release()
        super().on_close_received(event)

    def on_quote_received(self, event: QuoteReceived) -> None:
        """Say what is due with the first price of a timestamp, then match."""
        self._release()
        super().on_quote_received(event)

    def _release(self) -> None:
        # Executions come in the data phase. In a stage they would race with what reacts to its StepClosed.
        state = self._own
        if not state.held:
            return
        due = [held for held in state.held if held.until_step <= state.step]
        state.held = [held for held in state.held if held.until_step > state.step]
        for held in due:
            self._real_outbox.publish(held.report)

    @property
    def _own(self) -> UnreliableState:
        assert isinstance(self.state, UnreliableState)
        return self.state

    def _say(self, event: Event) -> None:
        assert isinstance(event, ExecutionReported)
        state = self._own
        fault = self._faults.get(state.number_of.get(event.client_order_id, 0))
        kind = fault.kind if fault is not None else ""
        until = state.silent_until
        if kind == "venue_lost_acknowledgement" and event.report == "accepted":
            return
        if kind == "venue_late_fill" and event.report != "accepted" and fault is not None:
            until = max(until, state.step + 1 + fault.count)
        for _ in range(2 if kind == "venue_duplicate" else 1):
            if until > state.step:
                state.held.append(Held(until, event))
            else:
                self._real_outbox.publish(event)
