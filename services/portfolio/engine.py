"""The portfolio engine: books fills and cash flows, marks to market at each step.

Fills are booked the moment they come: what they do depends on no other stream. Prices are only stored on arrival
and used at the ``mark`` stage. Nothing here reads a price to book a fill, which is why the ledger is the same in
whatever order fills and prices arrive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.fleet import DEFAULT_PORTFOLIO
from libs.contracts.market import (
    BarClosed,
    CloseReceived,
    InstrumentDefined,
    QuoteReceived,
    StepClosed,
    TradeReceived,
)
from libs.contracts.orders import OrderFilled
from libs.contracts.portfolio import (
    CashMoved,
    CreatePortfolio,
    PortfolioCreated,
    RecordCashFlow,
)
from libs.engine.engine import Outbox
from libs.messagebus.topic import Route, on
from services.portfolio.accounts import check_cash_flow, check_new_portfolio, open_portfolio
from services.portfolio.amounts import text
from services.portfolio.history import record_point
from services.portfolio.identifiers import SeenIds
from services.portfolio.instruments import check_currencies, instrument_of
from services.portfolio.ledger import book_cash_flow, book_fill, check_fill, position_after
from services.portfolio.prices import middle, store_mark
from services.portfolio.settings import PortfolioSettings
from services.portfolio.state import EquityPoint, Instrument, PortfolioState, Position
from services.portfolio.valuation import take_snapshot

#: Fills that may wait for their instrument to be defined; more than that means that nobody defines any.
MAX_WAITING = 10_000


class PortfolioEngine:
    """The ledger of every portfolio."""

    name = "portfolio"
    state_type: type[msgspec.Struct] = PortfolioState

    def __init__(self, clock: Clock, outbox: Outbox, settings: PortfolioSettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self._settings = settings
        self._state = PortfolioState(SeenIds(settings.fill_memory))

    @property
    def state(self) -> PortfolioState:
        """The state, for reading between batches."""
        return self._state

    @property
    def now_ns(self) -> int:
        """The engine's time, UNIX nanoseconds."""
        return self._clock.timestamp_ns()

    def routes(self) -> Sequence[Route]:
        """See :class:`libs.engine.engine.Engine`."""
        return (
            on(topics.INSTRUMENT, self.on_instrument),
            on(topics.BAR, self.on_bar),
            on(topics.CLOSE, self.on_close),
            on(topics.QUOTE, self.on_quote),
            on(topics.TICK, self.on_trade),
            on(topics.STEP, self.on_step_closed),
            on(topics.ORDER_FILLED, self.on_order_filled),
            on(topics.CREATE_PORTFOLIO, self.on_create_portfolio),
            on(topics.RECORD_CASH_FLOW, self.on_record_cash_flow),
        )

    def on_start(self) -> None:
        """Open the default portfolio."""
        settings = self._settings
        self._open(DEFAULT_PORTFOLIO, "Main", settings.base_currency, settings.opening_cash)

    def on_time_event(self, name: str, ts_event: int) -> None:
        """The engine arms no timer."""

    def snapshot(self) -> PortfolioState:
        """See :class:`libs.engine.engine.Engine`."""
        return self._state

    def restore(self, state: PortfolioState) -> None:
        """See :class:`libs.engine.engine.Engine`."""
        self._state = state

    def status(self) -> Mapping[str, Any]:
        """Counters for ``/status``."""
        state = self._state
        return {
            "portfolios": len(state.portfolios),
            "equity": {
                portfolio_id: str(one.snapshot.equity) if one.snapshot else None
                for portfolio_id, one in sorted(state.portfolios.items())
            },
            "open_positions": sum(
                1 for portfolio in state.portfolios.values() for held in portfolio.positions.values() if held.quantity
            ),
            "fills_booked": state.fills_booked,
            "fills_repeated": state.fills_repeated,
            "fills_waiting_for_instrument": len(state.waiting),
            "cash_flows_booked": state.cash_flows_booked,
            "snapshots_taken": state.snapshots_taken,
            "instruments": len(state.instruments),
            "prices": len(state.marks),
            "capabilities": ["ledger", "positions", "valuation", "history", "cash-flows"],
        }

    # -- market data: stored on arrival, used at the mark stage -------------------------------------

    def on_bar(self, event: BarClosed) -> None:
        """The close of a bar is a price."""
        store_mark(self._state.marks, event.symbol, event.close, event.ts_event, event.is_synthetic)

    def on_close(self, event: CloseReceived) -> None:
        """A close is a price."""
        store_mark(self._state.marks, event.symbol, event.close, event.ts_event, event.is_synthetic)

    def on_trade(self, event: TradeReceived) -> None:
        """A trade is a price."""
        store_mark(self._state.marks, event.symbol, event.price, event.ts_event, event.is_synthetic)

    def on_quote(self, event: QuoteReceived) -> None:
        """The middle of a two-sided quote is a price."""
        price = middle(event)
        if price is not None:
            store_mark(self._state.marks, event.symbol, price, event.ts_event, event.is_synthetic)

    def on_instrument(self, event: InstrumentDefined) -> None:
        """Learn multiplier and currency, and book the fills that waited for them."""
        state = self._state
        instrument = instrument_of(event, state.portfolios)
        ready = [fill for fill in state.waiting if fill.symbol == event.symbol]
        for fill in ready:
            check_currencies(fill, state.portfolios.get(fill.portfolio_id), instrument)
        state.instruments[event.symbol] = instrument
        if ready:
            state.waiting = [fill for fill in state.waiting if fill.symbol != event.symbol]
            for fill in ready:
                self._book(fill, instrument)

    def on_step_closed(self, event: StepClosed) -> None:
        """At ``mark``: value every portfolio, also one in which nothing moved."""
        if event.stage != "mark":
            return
        state = self._state
        for portfolio_id in sorted(state.portfolios):
            portfolio = state.portfolios[portfolio_id]
            taken = take_snapshot(portfolio, state.marks, state.instruments, event.ts_event)
            portfolio.snapshot = taken
            point = EquityPoint(event.ts_event, taken.equity, taken.cash, taken.pnl_day, taken.net_flows)
            record_point(portfolio.history, point, self._settings.history_points)
            state.snapshots_taken += 1
            self._outbox.publish(taken)

    # -- fills --------------------------------------------------------------------------------------

    def on_order_filled(self, event: OrderFilled) -> None:
        """Book a fill once, whatever happens to it on the way.

        Raises:
            ValueError: If it cannot be booked: it becomes a dead letter, which names what to do, and nothing is lost.
        """
        state = self._state
        check_fill(event)
        if event.fill_id in state.fills:
            state.fills_repeated += 1
            return
        state.fills.check_judgeable("fill", event.fill_id, event.ts_event)
        instrument = state.instruments.get(event.symbol)
        check_currencies(event, state.portfolios.get(event.portfolio_id), instrument)
        if instrument is not None:
            self._book(event, instrument)
        elif len(state.waiting) < MAX_WAITING:
            state.waiting.append(event)
        else:
            raise ValueError(
                f"instrument of fill '{event.fill_id}' must be defined, was '{event.symbol}', and {MAX_WAITING} fills "
                "wait already; define the instruments in marketdata and retry this event"
            )
        state.fills.add(event.fill_id, event.ts_event)

    def _book(self, fill: OrderFilled, instrument: Instrument) -> None:
        portfolio = self._state.portfolios[fill.portfolio_id]
        position = portfolio.positions.get(fill.symbol)
        if position is None:
            position = portfolio.positions[fill.symbol] = Position(fill.symbol, instrument.multiplier)
        book_fill(portfolio, position, fill)
        self._state.fills_booked += 1
        self._outbox.publish(position_after(fill, position))

    # -- commands -----------------------------------------------------------------------------------

    def on_create_portfolio(self, command: CreatePortfolio) -> None:
        """Open a portfolio; answers with its id."""
        check_new_portfolio(command, self._state.portfolios)
        self._open(command.portfolio_id, command.name, command.base_currency, command.cash)
        self._outbox.reply({"portfolio_id": command.portfolio_id})

    def on_record_cash_flow(self, command: RecordCashFlow) -> None:
        """Book a deposit, withdrawal, dividend, interest or fee once; answers with the new balance."""
        now = self.now_ns
        amount = check_cash_flow(command, self._state.portfolios, now)
        portfolio = self._state.portfolios[command.portfolio_id]
        book_cash_flow(portfolio, command.kind, amount)
        portfolio.references.add(command.reference, now)
        self._state.cash_flows_booked += 1
        self._outbox.publish(
            CashMoved(
                now, portfolio.portfolio_id, amount, command.currency, command.kind, command.reference, portfolio.cash
            )
        )
        self._outbox.reply(
            {"portfolio_id": portfolio.portfolio_id, "amount": text(amount), "balance": text(portfolio.cash)}
        )

    def _open(self, portfolio_id: str, name: str, base_currency: str, cash: Decimal) -> None:
        now = self.now_ns
        self._state.portfolios[portfolio_id] = open_portfolio(
            portfolio_id, name, base_currency, cash, now, self._settings.reference_memory
        )
        self._outbox.publish(PortfolioCreated(now, portfolio_id, name, base_currency, cash))
        self._outbox.publish(CashMoved(now, portfolio_id, cash, base_currency, "opening", "opening", cash))
