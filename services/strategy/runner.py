"""Runs the strategies of this engine: makes them, calls them, contains the one that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts.market import StepClosed
from libs.contracts.orders import StrategyLogged, StrategyStateChanged
from libs.engine.engine import Outbox
from services.strategy.delivery import deliver, take_delivery
from services.strategy.desk import TradingDesk, timer_name
from services.strategy.library import create_strategy, versions_of
from services.strategy.order_entry import OrderEntry
from services.strategy.order_manager import OrderManager
from services.strategy.positions import PositionBook
from services.strategy.settings import StrategyDefinition
from services.strategy.state import StrategyEngineState, StrategySlot, StrategyState
from services.strategy.strategy import Strategy


class StrategyRunner:
    """The strategies, sorted by id wherever their order shows.

    A paused or stopped strategy goes on receiving everything, so that its windows have no hole when it goes on; its
    orders are withheld. Only a failed one receives nothing: its data may be half changed. Started again it begins
    anew.

    Attributes:
        versions: What is loaded, see :func:`~services.strategy.library.versions_of`.
    """

    def __init__(
        self,
        state: StrategyEngineState,
        orders: OrderManager,
        positions: PositionBook,
        entry: OrderEntry,
        clock: Clock,
        outbox: Outbox,
    ) -> None:
        self._state = state
        self._orders = orders
        self._clock = clock
        self._outbox = outbox
        self._make_desk: Callable[[StrategySlot], TradingDesk] = lambda slot: TradingDesk(
            slot, state, orders, positions, entry, clock, outbox
        )
        self._strategies: dict[str, Strategy[Any, Any]] = {
            key: self._create(slot) for key, slot in sorted(state.slots.items()) if slot.state != "failed"
        }
        self.versions = ""
        self._note_versions()

    # -- life -------------------------------------------------------------------------------------

    def start_all(self, definitions: Sequence[StrategyDefinition]) -> None:
        """Make and start the configured strategies: the first start of this engine's life."""
        for definition in sorted(definitions, key=lambda one: one.strategy_id):
            slot = StrategySlot(
                definition.strategy_id, definition.library_id, definition.portfolio_id, dict(definition.parameters)
            )
            self._state.slots[slot.strategy_id] = slot
            self._begin(slot, "settings", "configured")

    def save(self) -> None:
        """Write every strategy's data into the state, for a snapshot."""
        for key, strategy in self._strategies.items():
            self._state.slots[key].data = msgspec.msgpack.encode(strategy.data)

    def set_state(self, slot: StrategySlot, wanted: StrategyState, actor: str, reason: str) -> None:
        """Start, pause or stop a strategy; stopping cancels its working orders and keeps its positions."""
        if wanted == "running" and slot.state == "failed":
            slot.data = b""
            self._begin(slot, actor, reason)
            return
        self._change(slot, wanted, actor, reason)
        if wanted == "stopped":
            self._cancel_orders(slot, f"strategy stopped by {actor}")

    def _begin(self, slot: StrategySlot, actor: str, reason: str) -> None:
        strategy = self._strategies[slot.strategy_id] = self._create(slot)
        self._strategies = dict(sorted(self._strategies.items()))
        self._note_versions()
        self._change(slot, "running", actor, reason)
        self._guarded(slot, strategy.on_start)

    def _note_versions(self) -> None:
        self.versions = versions_of(strategy.library_id for strategy in self._strategies.values())

    def _create(self, slot: StrategySlot) -> Strategy[Any, Any]:
        return create_strategy(slot, self._make_desk(slot))

    def _change(self, slot: StrategySlot, wanted: StrategyState, actor: str, reason: str) -> None:
        slot.state, slot.actor, slot.reason = wanted, actor, reason
        slot.ts_changed = self._clock.timestamp_ns()
        self._outbox.publish(
            StrategyStateChanged(slot.ts_changed, slot.strategy_id, slot.library_id, wanted, actor, reason)
        )

    # -- running ----------------------------------------------------------------------------------

    def decide(self, step: StepClosed) -> None:
        """Deliver a step to every strategy, by id."""
        delivery = take_delivery(self._state.buffer, step)
        for key, strategy in list(self._strategies.items()):
            self._guarded(self._state.slots[key], lambda one=strategy: deliver(one, delivery))  # type: ignore[misc]

    def _guarded(self, slot: StrategySlot, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # a strategy is foreign code: one that raises must not stop the others
            self._fail(slot, f"{type(error).__name__}: {error}")

    def _fail(self, slot: StrategySlot, text: str) -> None:
        self._strategies.pop(slot.strategy_id, None)
        self._note_versions()
        prefix = timer_name(slot.strategy_id, "")
        for name in self._clock.timer_names:
            if name.startswith(prefix):
                self._clock.cancel_timer(name)
        self._outbox.publish(StrategyLogged(self._clock.timestamp_ns(), slot.strategy_id, "error", text))
        self._change(slot, "failed", "engine", text)
        self._cancel_orders(slot, "strategy failed")

    def _cancel_orders(self, slot: StrategySlot, reason: str) -> None:
        now = self._clock.timestamp_ns()
        for order in list(self._orders.working()):
            if order.strategy_id == slot.strategy_id:
                self._orders.request_cancel(order, reason, now)
