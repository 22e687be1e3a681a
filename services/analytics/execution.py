"""Execution quality of a portfolio: what its fills cost against two reference prices.

- *Slippage*: fill price against the venue's reference price at the fill, as the fill reports it.
- *Shortfall*: fill price against the price the order was checked at when it was submitted (the arrival price of
  Perold 1988, the executed part; what was never filled has no cost here).

Positive = worse than the reference. Money is in the portfolio's currency and exact; latency is fleet time from
submission to fill.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.contracts.orders import OrderFilled

BASIS_POINTS = Decimal(10_000)


class PendingOrder(msgspec.Struct, frozen=True):
    """A submitted order whose fills may still come."""

    ts_submitted: int
    reference_price: Decimal


class PendingFill(msgspec.Struct, frozen=True):
    """A fill waiting for the end of its step, with what was known of its order when it came."""

    fill: OrderFilled
    order: PendingOrder | None


class ExecutionTotals(msgspec.Struct):
    """Sums over all fills of a portfolio.

    Attributes:
        bought, sold: Notional at fill prices.
        reference_notional, slippage: Notional at the venues' reference prices, and the cost against it.
        arrival_notional, shortfall: Notional at the arrival prices of the fills that have one, and the cost against it.
        arrivals: Fills with an arrival price.
        latency_ns, slowest_ns: Sum and maximum over those fills.
        unmeasured: Why fills are in ``fills`` but not in the money, by reason: count.
    """

    fills: int = 0
    ts_first: int = 0
    ts_last: int = 0
    bought: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    reference_notional: Decimal = Decimal(0)
    slippage: Decimal = Decimal(0)
    arrival_notional: Decimal = Decimal(0)
    shortfall: Decimal = Decimal(0)
    arrivals: int = 0
    latency_ns: int = 0
    slowest_ns: int = 0
    unmeasured: dict[str, int] = {}

    def add(self, pending: PendingFill, currency: str, multiplier: Decimal | None) -> None:
        """Take in a fill.

        Args:
            currency: The portfolio's; a fill in another one is not converted, there being no rate.
            multiplier: Of the instrument, None if it is unknown.
        """
        fill = pending.fill
        self.fills += 1
        self.ts_first = self.ts_first or fill.ts_event
        self.ts_last = max(self.ts_last, fill.ts_event)
        if fill.currency != currency:
            self._leave_out(f"fill in {fill.currency}, portfolio in {currency}, no exchange rate")
            return
        if multiplier is None:
            self._leave_out(f"instrument {fill.symbol} is not defined")
            return
        sign = 1 if fill.side == "buy" else -1
        quantity = fill.last_quantity * multiplier
        notional = quantity * fill.last_price
        if sign > 0:
            self.bought += notional
        else:
            self.sold += notional
        self.commission += fill.commission
        cost = quantity * fill.slippage
        self.slippage += cost
        self.reference_notional += notional - sign * cost
        if pending.order is not None:
            arrival = quantity * pending.order.reference_price
            self.arrivals += 1
            self.arrival_notional += arrival
            self.shortfall += sign * (notional - arrival)
            latency = fill.ts_event - pending.order.ts_submitted
            self.latency_ns += latency
            self.slowest_ns = max(self.slowest_ns, latency)

    def _leave_out(self, reason: str) -> None:
        self.unmeasured[reason] = self.unmeasured.get(reason, 0) + 1

    @property
    def traded(self) -> Decimal:
        """Notional bought and sold, each counted once."""
        return self.bought + self.sold

    def why_incomplete(self) -> str:
        """One sentence on the fills left out, empty when there are none."""
        return "; ".join(
            f"{count} of {self.fills} fills: {reason}" for reason, count in sorted(self.unmeasured.items())
        )


def in_basis_points(cost: Decimal, notional: Decimal) -> float | None:
    """``cost`` as a share of ``notional`` in basis points; None without a positive notional."""
    return float(cost / notional * BASIS_POINTS) if notional > 0 else None


def turnover_of(totals: ExecutionTotals, average_equity: Decimal | None, days: int, periods: int) -> float | str:
    """Yearly turnover: notional bought plus sold, over the average equity, times ``periods / days``.

    Two-sided: replacing the whole portfolio once a year (sell all, buy all) is 2.

    Returns:
        The turnover, or the reason why there is none.
    """
    if totals.unmeasured:
        return totals.why_incomplete()
    if average_equity is None or days < 1:
        return "needs at least 1 return, has 0"
    if average_equity <= 0:
        return f"average equity was {average_equity}"
    return float(totals.traded / average_equity) * periods / days
