"""Whether a price event executes an order, and at which price before slippage: pure functions.

=============  =================================  ==========================================  ========================
order          bar (open, high, low, close)       close only                                  quote
=============  =================================  ==========================================  ========================
market         the open                           the close                                   ask (buy), bid (sell)
limit          at the open if that is at the      at the close if it is at the limit or       ask or bid if at the
               limit or better, else at the       better and the order was marketable when    limit or better; at the
               limit if the bar trades through    it came; at the limit if it was resting     limit if it was resting
stop           at the open if beyond the stop,    at the close if at or beyond the stop       ask or bid if at or
               else at the stop if reached                                                    beyond the stop
stop-limit     triggers as a stop, then trades    likewise                                    likewise
               as a limit at that price
=============  =================================  ==========================================  ========================

"Through" is strict: at a touch the queue in front of a resting order may not have been served. Where only a close is
known, a resting limit the close has passed trades at the limit and not at the better close, because on the way there
it would have been taken at the limit. A stop reached between two closes trades at the close, the only price known.
A buy stop-limit whose limit lies below its stop waits for the next event after its trigger, since the bar does not say
which of its extremes came first.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from services.strategy.paper.state import PaperOrder


@dataclass(frozen=True, slots=True)
class MarketView:
    """What one price event shows of the market.

    Attributes:
        buy_price, sell_price: What an aggressive order of that side pays or takes before slippage; they differ for a
            quote only.
        high, low: Extremes of a bar; None where no path is known.
        volume: Units traded in the bar, or None where the source publishes none.
        volatility: Of the bar's log price, as a fraction; 0 where it is not known.
    """

    kind: Literal["bar", "close", "quote"]
    buy_price: Decimal
    sell_price: Decimal
    high: Decimal | None = None
    low: Decimal | None = None
    volume: float | None = None
    volatility: float = 0.0

    @property
    def middle(self) -> Decimal:
        """Between the two prices: what the cost of an aggressive execution is measured from."""
        return (self.buy_price + self.sell_price) / 2

    def price(self, order: PaperOrder) -> Decimal:
        """What an aggressive order pays or takes before slippage."""
        return self.buy_price if order.side == "buy" else self.sell_price


@dataclass(frozen=True, slots=True)
class Match:
    """An execution before quantity and costs.

    Attributes:
        price: Price before slippage.
        is_aggressive: Whether it takes liquidity and so slips.
        cap: Price it must not be worse than.
    """

    price: Decimal
    is_aggressive: bool
    cap: Decimal | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a price event does to an order: perhaps a match, perhaps its trigger."""

    match: Match | None
    is_triggered: bool


def match_order(order: PaperOrder, view: MarketView) -> Outcome:
    """Match one order against one price event."""
    if order.order_type == "market":
        return Outcome(Match(view.price(order), True, None), False)
    if order.order_type == "limit":
        return Outcome(_limit(order, view), False)
    return _stop(order, view)


def _limit(order: PaperOrder, view: MarketView) -> Match | None:
    limit = order.limit_price
    assert limit is not None, "the venue rejects a limit order without a limit"
    first = view.price(order)
    if _is_at_least_as_good(order, first, limit):
        if order.is_resting and view.kind != "bar":
            return Match(limit, False, limit)
        return Match(first, not order.is_resting, limit)
    extreme = view.low if order.side == "buy" else view.high
    if extreme is not None and extreme != limit and _is_at_least_as_good(order, extreme, limit):
        return Match(limit, False, limit)
    return None


def _stop(order: PaperOrder, view: MarketView) -> Outcome:
    stop, limit = order.stop_price, order.limit_price
    assert stop is not None, "the venue rejects a stop order without a stop"
    if order.is_triggered:
        return Outcome(_limit(order, view) if limit is not None else Match(view.price(order), True, None), True)
    first = view.price(order)
    if _is_beyond(order, first, stop):
        return Outcome(_limit(order, view) if limit is not None else Match(first, True, None), True)
    extreme = view.high if order.side == "buy" else view.low
    if extreme is None or not _is_beyond(order, extreme, stop):
        return Outcome(None, False)
    if limit is None or _is_at_least_as_good(order, stop, limit):
        return Outcome(Match(stop, True, limit), True)
    return Outcome(None, True)


def _is_at_least_as_good(order: PaperOrder, price: Decimal, limit: Decimal) -> bool:
    return price <= limit if order.side == "buy" else price >= limit


def _is_beyond(order: PaperOrder, price: Decimal, stop: Decimal) -> bool:
    return price >= stop if order.side == "buy" else price <= stop
