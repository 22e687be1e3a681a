"""What a strategy is: callbacks it may override, and what it may do.

A strategy is deterministic as an engine is: it reads no clock but ``self.desk.now``, draws no random number, and
keeps everything it must remember in ``self.data``, which the engine stores in its snapshots. It decides from what it
*holds* (``self.desk.position``), never from what it once asked for: an order may be denied, expire, or be withheld
while the strategy is paused.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec

from libs.contracts.analysis import FactorsCalculated, FeaturesCalculated, PredictionMade
from libs.contracts.market import QuoteReceived, StepClosed
from libs.contracts.orders import OrderFilled, OrderType, Side, TimeInForce
from services.strategy.instruments import TradingRules
from services.strategy.state import Mark, OrderRecord, PriceBar

LogLevel = Literal["debug", "info", "warning", "error"]


class StrategyParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a strategy's parameters: typed, bounded with ``msgspec.Meta``, checked when the strategy is made."""


class StrategyData(msgspec.Struct):
    """Base of what a strategy remembers; every field has a default."""


class Desk(Protocol):
    """What a strategy may know and do; the engine gives each strategy its own."""

    @property
    def now(self) -> int:
        """The fleet's time, UNIX nanoseconds: the timestamp of the step that is being decided."""
        ...

    @property
    def step(self) -> int:
        """Number of the step that is being decided."""
        ...

    @property
    def is_trading(self) -> bool:
        """Whether orders go out; False while the strategy is paused or stopped."""
        ...

    def tradable_symbols(self) -> Sequence[str]:
        """Symbols of all tradable instruments, sorted."""
        ...

    def rules(self, symbol: str) -> TradingRules | None:
        """Trading rules of an instrument."""
        ...

    def mark(self, symbol: str) -> Mark | None:
        """The last price of an instrument."""
        ...

    def position(self, symbol: str) -> Decimal:
        """Signed quantity this strategy holds."""
        ...

    def holdings(self) -> Sequence[tuple[str, Decimal]]:
        """Everything this strategy holds, sorted by symbol."""
        ...

    def open_orders(self, symbol: str = "", side: Side | None = None) -> Sequence[OrderRecord]:
        """This strategy's working orders, in the order they were placed."""
        ...

    def equity(self) -> Decimal | None:
        """Equity of the strategy's portfolio at its last valuation; None before the first."""
        ...

    def spendable(self) -> Decimal:
        """The largest notional a buy may have now as far as the portfolio's free cash goes."""
        ...

    def submit(
        self,
        side: Side,
        symbol: str,
        quantity: Decimal,
        order_type: OrderType,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        time_in_force: TimeInForce,
        reduce_only: bool,
    ) -> str | None:
        """Place an order; returns its id, or None where it was denied or withheld."""
        ...

    def cancel(self, client_order_id: str, reason: str) -> bool:
        """Ask for one of the strategy's own orders to be cancelled."""
        ...

    def log(self, message: str, level: LogLevel) -> None:
        """Publish a line."""
        ...

    def signal(self, symbol: str, side: Literal["buy", "sell", "flat"], strength: float, reason: str) -> None:
        """Publish what the strategy wants."""
        ...

    def set_timer(self, name: str, interval_ns: int) -> None:
        """Arm a repeating timer of fleet time; ``on_timer`` is called in the decide stage after it is due."""
        ...

    def cancel_timer(self, name: str) -> None:
        """Disarm a timer."""
        ...


P = TypeVar("P", bound=StrategyParameters)
D = TypeVar("D", bound=StrategyData)


class Strategy(Generic[P, D]):
    """Base of all strategies.

    All callbacks come in the decide stage, in this order: fills as the venue reported them, prices by symbol, quotes,
    features, factors, predictions, timers, and ``on_step`` last. So every decision sees the whole step.

    Attributes:
        library_id: Name in the library.
        title, reference: What it does in a line, and where it is from.
        parameters_type, data_type: Types of ``parameters`` and ``data``.
        data: What it remembers between callbacks and over restarts.
    """

    library_id: ClassVar[str]
    title: ClassVar[str]
    reference: ClassVar[str]
    parameters_type: ClassVar[type[StrategyParameters]]
    data_type: ClassVar[type[StrategyData]]

    def __init__(self, strategy_id: str, parameters: P, data: D, desk: Desk) -> None:
        self.strategy_id = strategy_id
        self.parameters = parameters
        self.data = data
        self.desk = desk

    # -- callbacks --------------------------------------------------------------------------------

    def on_start(self) -> None:
        """The strategy's life begins; there are no prices yet."""

    def on_fill(self, fill: OrderFilled) -> None:
        """One of its orders was executed, wholly or partly."""

    def on_bar(self, bar: PriceBar) -> None:
        """An instrument has a new bar, or a new close where that is all its source publishes."""

    def on_quote(self, quote: QuoteReceived) -> None:
        """The last quote of an instrument in this step."""

    def on_feature(self, features: FeaturesCalculated) -> None:
        """Technical features of an instrument."""

    def on_factor(self, factors: FactorsCalculated) -> None:
        """Cross-sectional factors of an instrument."""

    def on_prediction(self, prediction: PredictionMade) -> None:
        """A forecast of a model."""

    def on_timer(self, name: str, ts_event: int) -> None:
        """A timer was due at ``ts_event``."""

    def on_step(self, step: StepClosed) -> None:
        """Everything of this step was delivered."""

    # -- actions ----------------------------------------------------------------------------------

    def buy(
        self,
        symbol: str,
        quantity: Decimal,
        *,
        order_type: OrderType = "market",
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        time_in_force: TimeInForce = "day",
        reduce_only: bool = False,
    ) -> str | None:
        """Place a buy; returns its client order id, or None where the gate denied it or the strategy is not running."""
        return self.desk.submit(
            "buy", symbol, quantity, order_type, limit_price, stop_price, time_in_force, reduce_only
        )

    def sell(
        self,
        symbol: str,
        quantity: Decimal,
        *,
        order_type: OrderType = "market",
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        time_in_force: TimeInForce = "day",
        reduce_only: bool = False,
    ) -> str | None:
        """Place a sell; see :meth:`buy`."""
        return self.desk.submit(
            "sell", symbol, quantity, order_type, limit_price, stop_price, time_in_force, reduce_only
        )

    def cancel(self, client_order_id: str, reason: str = "strategy") -> bool:
        """Ask for one of its own orders to be cancelled; False where there is nothing to cancel."""
        return self.desk.cancel(client_order_id, reason)

    def log(self, message: str, level: LogLevel = "info") -> None:
        """Write a line; it is published as ``strategy.log``."""
        self.desk.log(message, level)
