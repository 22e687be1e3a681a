"""Everything the strategy engine knows, as plain typed data: what a snapshot holds and a restart continues from."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from libs.contracts.analysis import FactorsCalculated, FeaturesCalculated, PredictionMade
from libs.contracts.market import QuoteReceived
from libs.contracts.orders import OrderDenied, OrderFilled, OrderState, OrderType, Side, TimeInForce
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import HaltScope
from libs.contracts.tape import EMPTY
from services.strategy.instruments import TradingRules
from services.strategy.origins import Origins

StrategyState = Literal["running", "paused", "stopped", "failed"]


class PriceBar(msgspec.Struct, frozen=True, gc=False):
    """One price of an instrument as strategies see it, whether it came as a bar or as a close alone.

    Attributes:
        open, high, low, volume: None where the source publishes a close only; nothing is made up.
    """

    ts_event: int
    symbol: str
    interval: str
    close: float
    source: str
    is_synthetic: bool = False
    open: float | None = None
    high: float | None = None
    low: float | None = None
    volume: float | None = None


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The last price of an instrument: a close, or the middle of a quote; ``event_id``: of the event it came by."""

    price: float
    ts_event: int
    source: str
    is_synthetic: bool = False
    event_id: str = ""


class OrderRecord(msgspec.Struct):
    """An order of the book of record.

    Attributes:
        filled_notional: Sum of price times quantity over its executions, in the instrument's price points.
        reports: Report ids applied already; the second one with the same id is dropped.
        reason: Why it ended, where somebody said so.
        event_id: Of its ``OrderSubmitted``.
    """

    client_order_id: str
    portfolio_id: str
    strategy_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    reduce_only: bool
    venue: str
    currency: str
    multiplier: Decimal
    reference_price: Decimal
    state: OrderState
    ts_submitted: int
    ts_updated: int
    venue_order_id: str = ""
    filled_quantity: Decimal = Decimal(0)
    filled_notional: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    reports: list[str] = []
    reason: str = ""
    event_id: str = ""

    @property
    def leaves_quantity(self) -> Decimal:
        """What is still open."""
        return self.quantity - self.filled_quantity

    @property
    def reserve_price(self) -> Decimal:
        """What a unit of an open buy is reserved at: its limit, else the higher of its stop and its reference."""
        return self.limit_price or max(self.stop_price or Decimal(0), self.reference_price)


class Position(msgspec.Struct):
    """What one strategy holds of one symbol, by its own fills.

    Attributes:
        quantity: Signed; negative = short.
        cost: Signed money paid for the open quantity: ``quantity * average price * multiplier``.
        realized_pnl: Before commission.
        bought, sold: Units since the beginning.
    """

    currency: str
    quantity: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    realized_pnl: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    bought: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)


class Halt(msgspec.Struct, frozen=True):
    """A halt in force; it stays until a person lifts it. ``event_id``: of the event that put it in force."""

    scope: HaltScope
    target: str
    reason: str
    actor: str
    ts_event: int
    cancel_orders: bool
    allow_reducing: bool
    event_id: str = ""


class StrategySlot(msgspec.Struct):
    """One strategy of this engine.

    Attributes:
        data: The strategy's own state, encoded by :mod:`services.strategy.runner`.
        orders_withheld: Orders it wanted while it was not running.
    """

    strategy_id: str
    library_id: str
    portfolio_id: str
    parameters: dict[str, Any]
    state: StrategyState = "running"
    actor: str = ""
    reason: str = ""
    ts_changed: int = 0
    data: bytes = b""
    orders_withheld: int = 0


class StepBuffer(msgspec.Struct):
    """What arrived since the last decide stage.

    Everything but fills is kept as the newest per key, so that it is bounded by instruments and timers even where no
    step is ever closed; fills are bounded by the orders.

    Attributes:
        timers: By strategy and timer name, when it was due last.
    """

    fills: list[OrderFilled] = []
    bars: dict[tuple[str, str], PriceBar] = {}
    quotes: dict[str, QuoteReceived] = {}
    features: dict[tuple[str, str], FeaturesCalculated] = {}
    factors: dict[str, FactorsCalculated] = {}
    predictions: dict[tuple[str, str, str], PredictionMade] = {}
    timers: dict[tuple[str, str], int] = {}


class Answer(msgspec.Struct, frozen=True):
    """What an idempotency key was answered with, and to which request."""

    fingerprint: str
    reply: dict[str, Any]


class OrderBookState(msgspec.Struct):
    """The order book of record.

    Attributes:
        sequence: Client order ids given out.
        orders: Working orders and the last terminal ones, in the order they were placed.
        closed: Terminal orders still kept, oldest first.
        ended: Orders by the state they ended in.
        refused_reports: Reports that were not applied, by why.
        slippage_notional: Sum of slippage times quantity, in money; ``reference_notional``: what it is a share of.
        tape: Hash over every order event and fill so far, see :mod:`libs.contracts.tape`.
    """

    sequence: int = 0
    orders: dict[str, OrderRecord] = {}
    closed: list[str] = []
    submitted: int = 0
    fills: int = 0
    ended: dict[str, int] = {}
    refused_reports: dict[str, int] = {}
    slippage_notional: Decimal = Decimal(0)
    reference_notional: Decimal = Decimal(0)
    tape: str = EMPTY
    tape_events: int = 0


class StrategyEngineState(msgspec.Struct):
    """The whole state.

    Attributes:
        cash_effects: By portfolio, cash moved by fills later than its last snapshot, with their times.
        recent_orders: What the duplicate check remembers, with the time it was placed.
        denials: Orders denied, by check; ``denied``: the last ones themselves, oldest first.
        answers: By idempotency key, oldest first.
        prices_refused: Prices that were no positive finite number.
    """

    slots: dict[str, StrategySlot] = {}
    buffer: StepBuffer = msgspec.field(default_factory=StepBuffer)
    rules: dict[str, TradingRules] = {}
    marks: dict[str, Mark] = {}
    snapshots: dict[str, PortfolioSnapshotTaken] = {}
    cash_effects: dict[str, list[tuple[int, Decimal]]] = {}
    book: OrderBookState = msgspec.field(default_factory=OrderBookState)
    positions: dict[tuple[str, str, str], Position] = {}
    halts: dict[tuple[str, str], Halt] = {}
    recent_orders: dict[str, int] = {}
    denials: dict[str, int] = {}
    denied: dict[str, OrderDenied] = {}
    answers: dict[str, Answer] = {}
    step: int = 0
    steps: int = 0
    prices: int = 0
    prices_refused: int = 0
    origins: Origins = msgspec.field(default_factory=Origins)
