"""The strategy engine: stores what arrives, decides when the step is complete, keeps the order book of record.

What comes from data streams is only stored on arrival; strategies are called in the ``decide`` stage, so no decision
depends on which of two streams was faster. A venue's reports are one stream and are booked at once; halts bind at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.analysis import FactorsCalculated, FeaturesCalculated, PredictionMade
from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, QuoteReceived, StepClosed
from libs.contracts.orders import ExecutionReported
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import HaltChanged
from libs.engine.engine import Outbox
from libs.messagebus.topic import Route, on
from services.strategy.commands import CommandHandlers
from services.strategy.halts import HaltBook, covers_order
from services.strategy.instruments import TradingRules
from services.strategy.order_entry import OrderEntry
from services.strategy.order_manager import OrderManager
from services.strategy.positions import PositionBook
from services.strategy.runner import StrategyRunner
from services.strategy.settings import StrategySettings
from services.strategy.state import Mark, PriceBar, StrategyEngineState

_LARGEST_FLOAT = 1.7976931348623157e308


class StrategyEngine:
    """The state machine of the ``strategy`` engine.

    Attributes:
        state: Everything it knows; read by the HTTP surface between batches.
        orders, positions, entry, runner: The parts that work on the state.
    """

    name = "strategy"
    state_type: type[msgspec.Struct] = StrategyEngineState

    def __init__(self, clock: Clock, outbox: Outbox, settings: StrategySettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self.settings = settings
        self._bind(StrategyEngineState())

    def _bind(self, state: StrategyEngineState) -> None:
        limits = self.settings.gate_limits()
        self.state = state
        self.orders = OrderManager(state.book, self._outbox)
        self.positions = PositionBook(state.positions)
        self.halts = HaltBook(state.halts)
        self.entry = OrderEntry(state, self.orders, self.positions, limits, self._clock)
        self.runner = StrategyRunner(state, self.orders, self.positions, self.entry, self._clock, self._outbox)
        self._commands = CommandHandlers(state, self.orders, self.entry, self.runner, self._clock, self._outbox)

    def routes(self) -> Sequence[Route]:
        """What it consumes."""
        return (
            on(topics.INSTRUMENT, self.on_instrument_defined),
            on(topics.BAR, self.on_bar_closed),
            on(topics.CLOSE, self.on_close_received),
            on(topics.QUOTE, self.on_quote_received),
            on(topics.STEP, self.on_step_closed),
            on(topics.FEATURES, self.on_features_calculated),
            on(topics.FACTORS, self.on_factors_calculated),
            on(topics.PREDICTION, self.on_prediction_made),
            on(topics.PORTFOLIO_SNAPSHOT, self.on_portfolio_snapshot_taken),
            on(topics.EXECUTION_REPORT, self.on_execution_reported),
            on(topics.HALT, self.on_halt_changed),
            on(topics.PLACE_ORDER, lambda command: self._commands.on_place_order(command)),
            on(topics.CANCEL_ORDER, lambda command: self._commands.on_cancel_order(command)),
            on(topics.CANCEL_ALL_ORDERS, lambda command: self._commands.on_cancel_all_orders(command)),
            on(topics.SET_STRATEGY_STATE, lambda command: self._commands.on_set_strategy_state(command)),
        )

    # -- life -------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Start the configured strategies."""
        self.runner.start_all(self.settings.strategies)

    def on_time_event(self, name: str, ts_event: int) -> None:
        """Keep a strategy's timer for the decide stage; several of one name become the last one."""
        strategy_id, _, timer = name.partition(":")
        self.state.buffer.timers[strategy_id, timer] = ts_event

    def snapshot(self) -> StrategyEngineState:
        """The whole state."""
        self.runner.save()
        return self.state

    def restore(self, state: StrategyEngineState) -> None:
        """Continue from a snapshot; its strategies and parameters win over the settings, or a replay would differ."""
        self._bind(state)

    @property
    def strategy_versions(self) -> str:
        """Name and version of every strategy that is loaded; it goes into journals and snapshots."""
        return self.runner.versions

    @property
    def now_ns(self) -> int:
        """The fleet's time."""
        return self._clock.timestamp_ns()

    # -- data: stored, nothing decided ------------------------------------------------------------

    def on_instrument_defined(self, event: InstrumentDefined) -> None:
        """Keep the trading rules."""
        self.state.rules[event.symbol] = TradingRules.of(event)

    def on_bar_closed(self, event: BarClosed) -> None:
        """Keep a bar for the step, its close as the reference price."""
        bar = PriceBar(
            event.ts_event, event.symbol, event.interval, event.close, event.source, event.is_synthetic,
            event.open, event.high, event.low, event.volume,
        )  # fmt: skip
        self._keep(bar)

    def on_close_received(self, event: CloseReceived) -> None:
        """Keep a close for the step and as the reference price."""
        self._keep(
            PriceBar(event.ts_event, event.symbol, event.interval, event.close, event.source, event.is_synthetic)
        )

    def _keep(self, bar: PriceBar) -> None:
        state = self.state
        if not 0.0 < bar.close <= _LARGEST_FLOAT:  # false for NaN too
            state.prices_refused += 1
            return
        event_id = self._outbox.event_id
        state.prices += 1
        state.buffer.bars[bar.symbol, bar.interval] = bar
        state.marks[bar.symbol] = Mark(bar.close, bar.ts_event, bar.source, bar.is_synthetic, event_id)
        state.origins.note(bar.symbol, f"price:{bar.interval}", bar.ts_event, event_id)

    def on_quote_received(self, event: QuoteReceived) -> None:
        """Keep a quote for the step, its middle as the reference price."""
        state = self.state
        if not 0.0 < event.bid <= event.ask <= _LARGEST_FLOAT:
            state.prices_refused += 1
            return
        state.prices += 1
        state.buffer.quotes[event.symbol] = event
        middle = event.bid + (event.ask - event.bid) / 2
        event_id = self._outbox.event_id
        state.marks[event.symbol] = Mark(middle, event.ts_event, event.source, event.is_synthetic, event_id)
        state.origins.note(event.symbol, "quote", event.ts_event, event_id)

    def on_features_calculated(self, event: FeaturesCalculated) -> None:
        """Keep features for the step."""
        self.state.buffer.features[event.symbol, event.interval] = event
        self._note(event, f"features:{event.interval}")

    def on_factors_calculated(self, event: FactorsCalculated) -> None:
        """Keep factors for the step."""
        self.state.buffer.factors[event.symbol] = event
        self._note(event, "factors")

    def on_prediction_made(self, event: PredictionMade) -> None:
        """Keep a forecast for the step."""
        self.state.buffer.predictions[event.symbol, event.model_id, event.horizon] = event
        self._note(event, f"prediction:{event.model_id}:{event.horizon}")

    def _note(self, event: FeaturesCalculated | FactorsCalculated | PredictionMade, role: str) -> None:
        self.state.origins.note(event.symbol, role, event.ts_event, self._outbox.event_id)

    def on_portfolio_snapshot_taken(self, event: PortfolioSnapshotTaken) -> None:
        """Keep the valuation: it contains every fill up to its time that was booked here before it arrived.

        The ledger learns of a fill from this engine, so a fill booked after a valuation arrived is not in that one.
        """
        state = self.state
        state.snapshots[event.portfolio_id] = event
        state.origins.valuations[event.portfolio_id] = self._outbox.event_id
        effects = state.cash_effects.get(event.portfolio_id)
        if effects:
            state.cash_effects[event.portfolio_id] = [effect for effect in effects if effect[0] > event.ts_event]

    # -- what binds at once -----------------------------------------------------------------------

    def on_execution_reported(self, event: ExecutionReported) -> None:
        """Book what the venue says; its strategy hears of a fill in the decide stage."""
        fill = self.orders.apply(event)
        if fill is None:
            return
        order = self.orders.get(fill.client_order_id)
        assert order is not None, "an order is kept at least until its last fill is booked"
        cash = self.positions.apply(fill, order.multiplier)
        self.state.cash_effects.setdefault(fill.portfolio_id, []).append((fill.ts_event, cash))
        if fill.strategy_id in self.state.slots:
            self.state.buffer.fills.append(fill)

    def on_halt_changed(self, event: HaltChanged) -> None:
        """Put a halt in force or lift it; cancel the working orders it covers if it says so."""
        halt = self.halts.apply(event, self._outbox.event_id)
        if halt is None or not halt.cancel_orders:
            return
        now = self._clock.timestamp_ns()
        for order in list(self.orders.working()):
            if covers_order(halt, order):
                self.orders.request_cancel(order, f"halted: {halt.reason}", now)

    # -- deciding ---------------------------------------------------------------------------------

    def on_step_closed(self, event: StepClosed) -> None:
        """In the last stage of a step, let the strategies decide."""
        if event.stage != "decide":
            return
        self.state.step = event.step
        self.state.steps += 1
        self.state.origins.deliver(event.ts_event)
        self.orders.lose_unanswered(self._clock.timestamp_ns(), int(self.settings.unknown_seconds * 1e9))
        self.runner.decide(event)

    def status(self) -> Mapping[str, Any]:
        """Counters and facts."""
        state, book = self.state, self.state.book
        return {
            "steps": state.steps,
            "step": state.step,
            "prices": state.prices,
            "prices_refused": state.prices_refused,
            "instruments": len(state.rules),
            "strategies": {key: slot.state for key, slot in sorted(state.slots.items())},
            "orders_submitted": book.submitted,
            "orders_denied": dict(sorted(state.denials.items())),
            "orders_working": self.orders.working_count,
            "orders_ended": dict(sorted(book.ended.items())),
            "fills": book.fills,
            "order_tape": book.tape,
            "order_tape_events": book.tape_events,
            "reports_refused": dict(sorted(book.refused_reports.items())),
            "halts": [f"{halt.scope}:{halt.target}" for halt in self.halts.in_force()],
        }
