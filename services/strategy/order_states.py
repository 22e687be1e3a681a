"""The life of an order: one table of (state, event, next state); what is not in it is illegal.

The events are what happens to an order, not what a venue calls it: :func:`event_of_report` translates. An order of
messages that a network can produce is legal here (a fill overtaking its acknowledgement, an execution that crossed a
cancel), because money moved whether or not the messages were in order. What a venue cannot mean is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from libs.contracts.orders import ExecutionReported, OrderState

OrderEvent = Literal[
    "submit",
    "deny",
    "accept",
    "reject",
    "fill_partly",
    "fill",
    "request_cancel",
    "cancel",
    "expire",
    "lose",
    "keep",
    "keep_partly_filled",
]

#: ``lose`` = the venue has not answered in time; nobody knows whether it has the order until it does.
#: ``keep`` and ``keep_partly_filled`` = the venue refused a cancel and goes on working the order.
_TABLE: Final[tuple[tuple[OrderState, OrderEvent, OrderState], ...]] = (
    ("initialized", "deny", "denied"),
    ("initialized", "submit", "submitted"),
    ("submitted", "accept", "accepted"),
    ("submitted", "reject", "rejected"),
    ("submitted", "fill_partly", "partially_filled"),
    ("submitted", "fill", "filled"),
    ("submitted", "request_cancel", "pending_cancel"),
    ("submitted", "cancel", "cancelled"),
    ("submitted", "expire", "expired"),
    ("submitted", "lose", "unknown"),
    ("unknown", "accept", "accepted"),
    ("unknown", "reject", "rejected"),
    ("unknown", "fill_partly", "partially_filled"),
    ("unknown", "fill", "filled"),
    ("unknown", "request_cancel", "pending_cancel"),
    ("unknown", "cancel", "cancelled"),
    ("unknown", "expire", "expired"),
    ("accepted", "reject", "rejected"),
    ("accepted", "fill_partly", "partially_filled"),
    ("accepted", "fill", "filled"),
    ("accepted", "request_cancel", "pending_cancel"),
    ("accepted", "cancel", "cancelled"),
    ("accepted", "expire", "expired"),
    ("partially_filled", "accept", "partially_filled"),
    ("partially_filled", "fill_partly", "partially_filled"),
    ("partially_filled", "fill", "filled"),
    ("partially_filled", "request_cancel", "pending_cancel"),
    ("partially_filled", "cancel", "cancelled"),
    ("partially_filled", "expire", "expired"),
    ("pending_cancel", "accept", "pending_cancel"),
    ("pending_cancel", "reject", "rejected"),
    ("pending_cancel", "fill_partly", "pending_cancel"),
    ("pending_cancel", "fill", "filled"),
    ("pending_cancel", "cancel", "cancelled"),
    ("pending_cancel", "expire", "expired"),
    ("pending_cancel", "keep", "accepted"),
    ("pending_cancel", "keep_partly_filled", "partially_filled"),
    # What arrives late for an order that is over. An execution still moved money, so it is booked.
    ("filled", "accept", "filled"),
    ("filled", "keep_partly_filled", "filled"),
    ("rejected", "keep", "rejected"),
    ("cancelled", "accept", "cancelled"),
    ("cancelled", "keep", "cancelled"),
    ("cancelled", "keep_partly_filled", "cancelled"),
    ("cancelled", "fill_partly", "cancelled"),
    ("cancelled", "fill", "filled"),
    ("expired", "accept", "expired"),
    ("expired", "fill_partly", "expired"),
    ("expired", "fill", "filled"),
    ("expired", "keep", "expired"),
    ("expired", "keep_partly_filled", "expired"),
)

TRANSITIONS: Final[Mapping[tuple[OrderState, OrderEvent], OrderState]] = MappingProxyType(
    {(state, event): after for state, event, after in _TABLE}
)

#: An order in one of these is over; only an execution that was on its way still counts.
TERMINAL: Final[frozenset[OrderState]] = frozenset({"denied", "rejected", "filled", "cancelled", "expired"})


def next_state(state: OrderState, event: OrderEvent) -> OrderState | None:
    """The state after ``event``, or None where the event is illegal in ``state``."""
    return TRANSITIONS.get((state, event))


def event_of_report(report: ExecutionReported, quantity: Decimal, filled: Decimal) -> OrderEvent | None:
    """What a venue's report means for an order of ``quantity`` of which ``filled`` is booked already.

    Whether a fill completes the order is decided by the executions booked here, not by the report's own
    ``leaves_quantity``: reports may arrive in another order than they were written.

    Returns:
        The event, or None for an execution that cannot be: not positive, or more than the order still has open.
    """
    if report.report == "filled":
        last = report.last_quantity
        if not (last.is_finite() and report.last_price.is_finite() and last > 0 and report.last_price > 0):
            return None
        after = filled + last
        if after > quantity:
            return None
        return "fill" if after == quantity else "fill_partly"
    if report.report == "cancel_rejected":
        return "keep_partly_filled" if filled else "keep"
    return _PLAIN[report.report]


_PLAIN: Final[Mapping[str, OrderEvent]] = MappingProxyType(
    {"accepted": "accept", "rejected": "reject", "cancelled": "cancel", "expired": "expire"}
)
