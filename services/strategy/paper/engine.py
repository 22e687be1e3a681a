"""The paper venue's state machine: orders in, market data in, execution reports out.

Orders are matched as each price arrives. Orders and prices are two streams, and yet nothing depends on which is
faster: in lockstep an order arrives after the last price of its timestamp, and only a later price can fill it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.fleet import PAPER_VENUE
from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, QuoteReceived, StepClosed
from libs.contracts.orders import OrderCancelRequested, OrderSubmitted
from libs.engine.engine import Outbox
from libs.messagebus.topic import Route, on
from services.strategy.instruments import TradingRules, exact, whole_lots
from services.strategy.paper.book import PaperBook
from services.strategy.paper.costs import bar_volatility, execution_price
from services.strategy.paper.matching import MarketView, match_order
from services.strategy.paper.sessions import DAY_NS, day_of, interval_ns, session_of, was_open
from services.strategy.paper.state import LastPrice, PaperOrder, PaperState
from services.strategy.paper.terms import PaperTerms

_LARGEST_FLOAT = 1.7976931348623157e308
_ZERO = Decimal(0)


class PaperVenueEngine:
    """A venue without money: fills orders on recorded or live prices.

    Attributes:
        state: Everything it knows.
    """

    name = PAPER_VENUE
    state_type: type[msgspec.Struct] = PaperState

    def __init__(self, clock: Clock, outbox: Outbox, terms: PaperTerms) -> None:
        self._clock = clock
        self._outbox = outbox
        self._terms = terms
        self.restore(PaperState())

    def routes(self) -> Sequence[Route]:
        """What it consumes."""
        return (
            on(topics.INSTRUMENT, self.on_instrument_defined),
            on(topics.BAR, self.on_bar_closed),
            on(topics.CLOSE, self.on_close_received),
            on(topics.QUOTE, self.on_quote_received),
            on(topics.STEP, self.on_step_closed),
            on(topics.ORDER_SUBMITTED, self.on_order_submitted),
            on(topics.ORDER_CANCEL_REQUESTED, self.on_order_cancel_requested),
        )

    def on_start(self) -> None:
        """Nothing to do before the first order."""

    def on_time_event(self, name: str, ts_event: int) -> None:
        """It arms no timers."""

    def snapshot(self) -> PaperState:
        """The whole state."""
        return self.state

    def restore(self, state: PaperState) -> None:
        """Continue from a snapshot."""
        self.state = state
        self._book = PaperBook(state, self._terms, self._outbox)

    # -- orders -----------------------------------------------------------------------------------

    def on_order_submitted(self, event: OrderSubmitted) -> None:
        """Accept or reject an order; one that came before is not taken twice."""
        if event.venue != PAPER_VENUE:
            return
        if self._book.knows(event.client_order_id):
            self.state.resent += 1
            return
        self._book.accept(event, max(event.ts_event, self._clock.timestamp_ns()))

    def on_order_cancel_requested(self, event: OrderCancelRequested) -> None:
        """Cancel an order, or say that it is not working."""
        if event.venue != PAPER_VENUE:
            return
        now = max(event.ts_event, self._clock.timestamp_ns())
        order = self.state.working.get(event.client_order_id)
        if order is None:
            self._book.refuse_cancel(event.client_order_id, event.symbol, now)
        else:
            self._book.end(order, "cancelled", event.reason, now)

    # -- prices -----------------------------------------------------------------------------------

    def on_instrument_defined(self, event: InstrumentDefined) -> None:
        """Keep the trading rules."""
        self.state.rules[event.symbol] = TradingRules.of(event)

    def on_bar_closed(self, event: BarClosed) -> None:
        """Match working orders against a bar."""
        if not _is_sound(event):
            self.state.prices_refused += 1
            return
        orders = self._note_price(event.symbol, event.ts_event, event.close, interval_ns(event.interval))
        if not orders:
            return
        length, volume = interval_ns(event.interval), event.volume
        volatility = bar_volatility(event.high, event.low)
        opening, close = exact(event.open), exact(event.close)
        whole = MarketView("bar", opening, opening, exact(event.high), exact(event.low), volume, volatility)
        end = MarketView("close", close, close, None, None, volume, volatility)
        available = exact(volume) * self._terms.participation
        for order in orders:
            view = whole if was_open(order.accepted_ts, event.ts_event, length) else end
            available -= self._match(order, view, event.ts_event, available)

    def on_close_received(self, event: CloseReceived) -> None:
        """Match working orders against a close; its volume is unknown, so it fills whole."""
        if not 0.0 < event.close <= _LARGEST_FLOAT:
            self.state.prices_refused += 1
            return
        orders = self._note_price(event.symbol, event.ts_event, event.close, interval_ns(event.interval))
        if not orders:
            return
        close = exact(event.close)
        view = MarketView("close", close, close)
        for order in orders:
            self._match(order, view, event.ts_event, None)

    def on_quote_received(self, event: QuoteReceived) -> None:
        """Match working orders against a quote, up to the size it shows; a size of 0 means the source knows none."""
        if not 0.0 < event.bid <= event.ask <= _LARGEST_FLOAT:
            self.state.prices_refused += 1
            return
        orders = self._note_price(event.symbol, event.ts_event, event.bid + (event.ask - event.bid) / 2, 0)
        if not orders:
            return
        view = MarketView("quote", exact(event.ask), exact(event.bid))
        left = {
            "buy": exact(event.ask_size) if event.ask_size > 0 else None,
            "sell": exact(event.bid_size) if event.bid_size > 0 else None,
        }
        for order in orders:
            size = left[order.side]
            filled = self._match(order, view, event.ts_event, size)
            if size is not None:
                left[order.side] = size - filled

    def _note_price(self, symbol: str, ts: int, price: float, length: int) -> list[PaperOrder]:
        """Keep a price; returns the orders it can fill: none where finer prices of the symbol exist."""
        state = self.state
        finest = state.finest.get(symbol)
        if finest is None or length < finest:
            state.finest[symbol] = length
        elif length > finest:
            return []
        state.prices[symbol] = LastPrice(ts, price)
        return [order for order in self._book.of_symbol(symbol) if order.accepted_ts < ts]

    def _match(self, order: PaperOrder, view: MarketView, ts: int, available: Decimal | None) -> Decimal:
        """Match one order; returns the quantity executed. ``available`` None = not limited by volume."""
        if self._is_over(order, ts):
            self._book.end(order, "expired", "its day ended before this price", ts)
            return _ZERO
        rules = self.state.rules[order.symbol]
        outcome = match_order(order, view)
        order.is_triggered = outcome.is_triggered
        match, executed = outcome.match, _ZERO
        if match is None:
            # A limit the market did not reach waits passively from now on.
            order.is_resting = order.limit_price is not None and (order.stop_price is None or order.is_triggered)
        else:
            executed = self._executable(order, available, rules)
            if executed:
                price = execution_price(match, order.side, executed, view, rules.tick_size, self._terms)
                reference = view.middle if match.is_aggressive and view.kind == "quote" else match.price
                self._book.execute(order, executed, price, reference, rules.multiplier, ts)
        if order.leaves_quantity and order.time_in_force in ("ioc", "fok"):
            self._book.end(order, "cancelled", f"{order.time_in_force}: not wholly filled at once", ts)
        return executed

    def _executable(self, order: PaperOrder, available: Decimal | None, rules: TradingRules) -> Decimal:
        leaves = order.leaves_quantity
        if available is None or available >= leaves:
            return leaves
        return _ZERO if order.time_in_force == "fok" else whole_lots(available, rules.lot_size)

    # -- steps ------------------------------------------------------------------------------------

    def on_step_closed(self, event: StepClosed) -> None:
        """After the data of a step, end the day orders whose session is over."""
        if event.stage != "mark":
            return
        for order in self._book.all():
            if order.time_in_force != "gtc" and order.accepted_ts < event.ts_event:
                self._expire_if_priced(order, event.ts_event)

    def _expire_if_priced(self, order: PaperOrder, ts: int) -> None:
        """A daily price is the last one of its day; with finer prices only the next day tells that a day is over."""
        last = self.state.prices.get(order.symbol)
        had_daily_price = self._finest(order) >= DAY_NS and last is not None and last.ts_event == ts
        if self._is_over(order, ts) or had_daily_price:
            self._book.end(order, "expired", "the day is over", ts)

    def _is_over(self, order: PaperOrder, ts: int) -> bool:
        """Whether an order that is good for a day has outlived it; its day begins with the first step after it."""
        if order.time_in_force == "gtc":
            return False
        if order.session_day < 0:
            order.session_day = session_of(order.accepted_ts, ts, self._finest(order))
        return 0 <= order.session_day < day_of(ts)

    def _finest(self, order: PaperOrder) -> int:
        return self.state.finest.get(order.symbol, DAY_NS)

    def status(self) -> Mapping[str, Any]:
        """Counters and facts."""
        state = self.state
        return {
            "orders_accepted": state.orders,
            "orders_working": len(state.working),
            "orders_resent": state.resent,
            "reports": state.reports,
            "fills": state.fills,
            "prices_refused": state.prices_refused,
            "instruments": len(state.rules),
        }


def _is_sound(bar: BarClosed) -> bool:
    """Whether a bar's numbers can be; every comparison is false for NaN."""
    return (
        0.0 < bar.low <= bar.open <= bar.high <= _LARGEST_FLOAT
        and bar.low <= bar.close <= bar.high
        and 0.0 <= bar.volume <= _LARGEST_FLOAT
    )
