"""One strategy's desk: its window on the engine, through which everything it does goes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from libs.clock import Clock
from libs.contracts.orders import OrderType, Side, SignalGenerated, StrategyLogged, TimeInForce
from libs.engine.engine import Outbox
from services.strategy.gate import OrderRequest
from services.strategy.instruments import TradingRules
from services.strategy.order_entry import OrderEntry
from services.strategy.order_manager import OrderManager
from services.strategy.origins import SignalNote
from services.strategy.positions import PositionBook
from services.strategy.state import Mark, OrderRecord, StrategyEngineState, StrategySlot
from services.strategy.strategy import LogLevel

#: Longest line a strategy can publish.
MAX_LOG_CHARACTERS = 2_000


def timer_name(strategy_id: str, name: str) -> str:
    """Name on the engine's clock of a strategy's timer; strategy ids hold no colon."""
    return f"{strategy_id}:{name}"


class TradingDesk:
    """Implements :class:`services.strategy.strategy.Desk` for the strategy in ``slot``."""

    def __init__(
        self,
        slot: StrategySlot,
        state: StrategyEngineState,
        orders: OrderManager,
        positions: PositionBook,
        entry: OrderEntry,
        clock: Clock,
        outbox: Outbox,
    ) -> None:
        self._slot = slot
        self._state = state
        self._orders = orders
        self._positions = positions
        self._entry = entry
        self._clock = clock
        self._outbox = outbox

    # -- knowing ----------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The fleet's time."""
        return self._clock.timestamp_ns()

    @property
    def step(self) -> int:
        """Number of the step that is being decided."""
        return self._state.step

    @property
    def is_trading(self) -> bool:
        """Whether orders go out."""
        return self._slot.state == "running"

    def tradable_symbols(self) -> Sequence[str]:
        """Symbols of all tradable instruments, sorted."""
        return sorted(symbol for symbol, rules in self._state.rules.items() if rules.is_tradable)

    def rules(self, symbol: str) -> TradingRules | None:
        """Trading rules of an instrument."""
        return self._state.rules.get(symbol)

    def mark(self, symbol: str) -> Mark | None:
        """The last price of an instrument."""
        return self._state.marks.get(symbol)

    def position(self, symbol: str) -> Decimal:
        """Signed quantity this strategy holds."""
        return self._positions.quantity(self._slot.portfolio_id, self._slot.strategy_id, symbol)

    def holdings(self) -> Sequence[tuple[str, Decimal]]:
        """Everything this strategy holds, sorted by symbol."""
        return list(self._positions.held(self._slot.portfolio_id, self._slot.strategy_id))

    def open_orders(self, symbol: str = "", side: Side | None = None) -> Sequence[OrderRecord]:
        """This strategy's working orders, of one symbol and side where given."""
        return [
            order
            for order in self._orders.working()
            if order.strategy_id == self._slot.strategy_id
            and (not symbol or order.symbol == symbol)
            and (side is None or order.side == side)
        ]

    def equity(self) -> Decimal | None:
        """Equity of the portfolio at its last valuation."""
        snapshot = self._state.snapshots.get(self._slot.portfolio_id)
        return snapshot.equity if snapshot is not None else None

    def spendable(self) -> Decimal:
        """The largest notional a buy may have now as far as free cash goes."""
        return self._entry.spendable(self._slot.portfolio_id)

    # -- doing ------------------------------------------------------------------------------------

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
        """Place an order; None where it was denied, or withheld because the strategy is not running."""
        if not self.is_trading:
            self._slot.orders_withheld += 1
            return None
        placed = self._entry.place(
            OrderRequest(
                self._slot.portfolio_id,
                self._slot.strategy_id,
                symbol,
                side,
                quantity,
                order_type,
                time_in_force,
                limit_price,
                stop_price,
                reduce_only,
            )
        )
        return placed.client_order_id if placed.denial is None else None

    def cancel(self, client_order_id: str, reason: str) -> bool:
        """Cancel one of the strategy's own orders; allowed whatever state the strategy is in."""
        order = self._orders.get(client_order_id)
        if order is None or order.strategy_id != self._slot.strategy_id:
            return False
        return self._orders.request_cancel(order, reason, self.now)

    def log(self, message: str, level: LogLevel) -> None:
        """Publish a line."""
        self._outbox.publish(StrategyLogged(self.now, self._slot.strategy_id, level, message[:MAX_LOG_CHARACTERS]))

    def signal(self, symbol: str, side: Literal["buy", "sell", "flat"], strength: float, reason: str) -> None:
        """Publish what the strategy wants, and what of its symbol it was given."""
        slot, origins = self._slot, self._state.origins
        note = origins.signals[slot.strategy_id, symbol] = SignalNote(self.now)
        signal = SignalGenerated(self.now, slot.strategy_id, symbol, side, strength, reason)
        self._outbox.publish_because(signal, origins.of_signal(symbol, slot.portfolio_id), note)

    def set_timer(self, name: str, interval_ns: int) -> None:
        """Arm a repeating timer; it comes back through the engine's ``on_time_event``."""
        self._clock.set_timer_ns(timer_name(self._slot.strategy_id, name), interval_ns)

    def cancel_timer(self, name: str) -> None:
        """Disarm a timer."""
        self._clock.cancel_timer(timer_name(self._slot.strategy_id, name))
