"""The analytics engine: performance of every portfolio and volatility of every instrument, after every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.analysis import PerformanceCalculated, VolatilityForecast
from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, StepClosed
from libs.contracts.orders import OrderCancelled, OrderExpired, OrderFilled, OrderRejected, OrderSubmitted
from libs.contracts.portfolio import PortfolioCreated, PortfolioSnapshotTaken
from libs.engine.engine import Outbox
from libs.messagebus.topic import Route, on
from services.analytics.execution import PendingFill, PendingOrder, turnover_of
from services.analytics.running import Figures, performance_of, regression_of
from services.analytics.settings import AnalyticsSettings
from services.analytics.state import AnalyticsState, PortfolioRecord
from services.analytics.volatility import MODEL, SymbolSeries

#: Daily closes kept of the benchmark: the longest window the API offers, and the close it begins at.
BENCHMARK_HISTORY = 5_041


class AnalyticsEngine:
    """Stores what arrives, computes at ``StepClosed`` *assess*.

    Prices update their own series at once, because nothing else of the step has a part in it; a portfolio's return is
    beside its benchmark's and its fills, so it waits for the stage.
    """

    name = "analytics"
    state_type: type[msgspec.Struct] = AnalyticsState

    def __init__(self, clock: Clock, outbox: Outbox, settings: AnalyticsSettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self.settings = settings
        self.state = AnalyticsState()

    def routes(self) -> Sequence[Route]:
        """The routing table."""
        return (
            on(topics.INSTRUMENT, self.on_instrument_defined),
            on(topics.BAR, self.on_bar_closed),
            on(topics.CLOSE, self.on_close_received),
            on(topics.STEP, self.on_step_closed),
            on(topics.PORTFOLIO_CREATED, self.on_portfolio_created),
            on(topics.PORTFOLIO_SNAPSHOT, self.on_portfolio_snapshot_taken),
            on(topics.ORDER_SUBMITTED, self.on_order_submitted),
            on(topics.ORDER_FILLED, self.on_order_filled),
            on(topics.ORDER_CANCELLED, self.on_order_closed),
            on(topics.ORDER_EXPIRED, self.on_order_closed),
            on(topics.ORDER_REJECTED, self.on_order_closed),
        )

    def on_start(self) -> None:
        """Nothing to prepare."""

    def on_time_event(self, name: str, ts_event: int) -> None:
        """No timer is armed: a step is the only clock of these figures."""

    # -- market data ------------------------------------------------------------------------------

    def on_instrument_defined(self, event: InstrumentDefined) -> None:
        """Keep the contract multiplier, which turns a quantity into a notional."""
        self.state.multipliers[event.symbol] = Decimal(event.multiplier)

    def on_bar_closed(self, event: BarClosed) -> None:
        """A bar's close is a price."""
        self._on_price(event)

    def on_close_received(self, event: CloseReceived) -> None:
        """A close-only price serves as well: nothing here needs the range of the day."""
        self._on_price(event)

    def _on_price(self, event: BarClosed | CloseReceived) -> None:
        series = self.state.symbols.get(event.symbol)
        if series is None:
            series = self.state.symbols[event.symbol] = SymbolSeries()
        # A window over a portfolio reaches further back than one over an instrument, and needs its benchmark there.
        keep = BENCHMARK_HISTORY if event.symbol == self.settings.benchmark else self.settings.symbol_history
        if series.price(event.ts_event, event.close, event.source, event.is_synthetic, keep):
            self.state.priced[event.symbol] = event.ts_event
        else:
            self.state.prices_ignored += 1

    # -- portfolios and orders --------------------------------------------------------------------

    def on_portfolio_created(self, event: PortfolioCreated) -> None:
        """A portfolio exists, though it has no valuation yet."""
        self._portfolio(event.portfolio_id).base_currency = event.base_currency

    def on_portfolio_snapshot_taken(self, event: PortfolioSnapshotTaken) -> None:
        """Keep the valuation for the stage in which returns are computed."""
        # The positions are not needed, and a state without them is smaller.
        self.state.pending_valuations.append(msgspec.structs.replace(event, positions=[]))

    def on_order_submitted(self, event: OrderSubmitted) -> None:
        """Remember the arrival price."""
        orders = self.state.open_orders
        orders[event.client_order_id] = PendingOrder(event.ts_event, event.reference_price)
        if len(orders) > self.settings.max_open_orders:
            del orders[next(iter(orders))]
            self.state.orders_forgotten += 1

    def on_order_filled(self, event: OrderFilled) -> None:
        """Keep the fill with its arrival price; the instrument may still be on its way in another stream."""
        order = self.state.open_orders.get(event.client_order_id)
        self.state.pending_fills.append(PendingFill(event, order))
        if event.leaves_quantity <= 0:
            self.state.open_orders.pop(event.client_order_id, None)

    def on_order_closed(self, event: OrderCancelled | OrderExpired | OrderRejected) -> None:
        """No further fill can come."""
        self.state.open_orders.pop(event.client_order_id, None)

    # -- the stage --------------------------------------------------------------------------------

    def on_step_closed(self, event: StepClosed) -> None:
        """Compute and publish in stage *assess*, portfolios and symbols each in sorted order."""
        if event.stage != "assess":
            return
        self.state.steps += 1
        self._take_fills()
        for portfolio_id in self._take_valuations():
            self._outbox.publish(self._performance_event(event.ts_event, portfolio_id))
            self.state.performance_published += 1
        for symbol in sorted(self.state.priced):
            self._publish_forecast(event.ts_event, symbol)
        self.state.priced = {}

    def _take_fills(self) -> None:
        fills = sorted(self.state.pending_fills, key=lambda pending: (pending.fill.ts_event, pending.fill.fill_id))
        self.state.pending_fills = []
        for pending in fills:
            record = self._portfolio(pending.fill.portfolio_id)
            record.execution.add(pending, record.base_currency, self.state.multipliers.get(pending.fill.symbol))

    def _take_valuations(self) -> list[str]:
        valuations = sorted(self.state.pending_valuations, key=lambda item: (item.ts_event, item.portfolio_id))
        self.state.pending_valuations = []
        benchmark = self.state.symbols.get(self.settings.benchmark)
        touched: dict[str, None] = {}
        for item in valuations:
            record = self._portfolio(item.portfolio_id)
            record.base_currency = item.base_currency
            close = benchmark.close_on_day_of(item.ts_event) if benchmark else None
            record.is_synthetic = record.is_synthetic or item.is_synthetic
            if close is not None and benchmark is not None:
                record.is_synthetic = record.is_synthetic or benchmark.is_synthetic
            if not record.series.value(item.ts_event, item.equity, item.net_flows, close):
                self.state.valuations_ignored += 1
            touched[item.portfolio_id] = None
        return sorted(touched)

    def _performance_event(self, ts_event: int, portfolio_id: str) -> PerformanceCalculated:
        record = self.state.portfolios[portfolio_id]
        values, missing = self.figures_of(record)
        return PerformanceCalculated(
            ts_event,
            portfolio_id,
            values,
            missing,
            record.series.current().count,
            record.series.ts_first,
            self.settings.benchmark,
            record.is_synthetic,
            record.series.current_pair().count,
        )

    def figures_of(self, record: PortfolioRecord) -> Figures:
        """All figures of a portfolio since inception by name, and the reason for each that has no value."""
        series = record.series
        returns = series.current()
        periods = self.settings.periods_per_year
        values, missing = performance_of(returns, periods)
        slope, no_slope = regression_of(series.current_pair(), periods)
        values.update(slope)
        missing.update(no_slope)
        turnover = turnover_of(record.execution, series.average_equity(), returns.count, periods)
        if isinstance(turnover, str):
            missing["turnover"] = turnover
        else:
            values["turnover"] = turnover
        if series.problem:
            return {}, dict.fromkeys(sorted([*values, *missing]), series.problem)
        return values, missing

    def _publish_forecast(self, ts_event: int, symbol: str) -> None:
        series = self.state.symbols[symbol]
        volatility, observations = series.volatility(self.settings.periods_per_year)
        if volatility is not None:
            self._outbox.publish(
                VolatilityForecast(ts_event, symbol, MODEL, 1, volatility, observations, series.is_synthetic)
            )
            self.state.forecasts_published += 1

    def _portfolio(self, portfolio_id: str) -> PortfolioRecord:
        record = self.state.portfolios.get(portfolio_id)
        if record is None:
            record = self.state.portfolios[portfolio_id] = PortfolioRecord()
        return record

    # -- host -------------------------------------------------------------------------------------

    def snapshot(self) -> AnalyticsState:
        """The state itself; the host encodes it at once."""
        return self.state

    def restore(self, state: AnalyticsState) -> None:
        """Continue from ``state``."""
        self.state = state

    def now_ns(self) -> int:
        """The fleet's time."""
        return self._clock.timestamp_ns()

    def status(self) -> Mapping[str, Any]:
        """Counters for ``/status``."""
        state = self.state
        return {
            "portfolios": len(state.portfolios),
            "symbols": len(state.symbols),
            "open_orders": len(state.open_orders),
            "fills": sum(record.execution.fills for record in state.portfolios.values()),
            "steps": state.steps,
            "performance_published": state.performance_published,
            "forecasts_published": state.forecasts_published,
            "valuations_ignored": state.valuations_ignored,
            "prices_ignored": state.prices_ignored,
            "orders_forgotten": state.orders_forgotten,
        }
