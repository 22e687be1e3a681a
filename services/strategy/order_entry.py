"""The one way into the market: gather what the gate needs, ask it, and submit or deny."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from libs.clock import Clock
from libs.contracts.orders import OrderDenied
from services.strategy.checks import CHECKS
from services.strategy.gate import Denial, GateInputs, GateLimits, OrderRequest, first_denial, is_reducing
from services.strategy.halts import HaltBook
from services.strategy.order_checks import reference_of, rules_of
from services.strategy.order_manager import OrderManager
from services.strategy.positions import PositionBook
from services.strategy.state import StrategyEngineState

#: Denied orders kept for reading.
KEPT_DENIED = 1_000

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a request: submitted, or denied with the reason."""

    client_order_id: str
    denial: Denial | None


@dataclass(slots=True)
class _Open:
    """Units of working orders: the strategy's in the symbol, and the portfolio's."""

    buys: Decimal = _ZERO
    sells: Decimal = _ZERO
    portfolio_buys: Decimal = _ZERO
    portfolio_sells: Decimal = _ZERO


class OrderEntry:
    """Takes requests of strategies and of people through the gate.

    Args:
        state: Read for rules, prices, valuations and duplicates; counts denials.
        limits: The gate's limits.
    """

    def __init__(
        self,
        state: StrategyEngineState,
        orders: OrderManager,
        positions: PositionBook,
        limits: GateLimits,
        clock: Clock,
    ) -> None:
        self._state = state
        self._orders = orders
        self._positions = positions
        self._halts = HaltBook(state.halts)
        self._limits = limits
        self._clock = clock

    def place(self, request: OrderRequest) -> Placed:
        """Submit ``request`` if the gate lets it pass, else publish why not."""
        now = self._clock.timestamp_ns()
        inputs = self._inputs(request, now)
        client_order_id = self._orders.next_id()
        denial = first_denial(CHECKS, request, inputs, self._limits)
        because = self._state.origins.of_order(
            request.strategy_id, request.symbol, request.portfolio_id, inputs.mark.event_id if inputs.mark else ""
        )
        if denial is not None:
            halted = [inputs.halt.event_id] if inputs.halt else []
            self._deny(client_order_id, request, denial, now, [*because, *halted])
            return Placed(client_order_id, denial)
        rules = rules_of(inputs)
        self._remember(request, now)
        self._orders.submit(
            client_order_id,
            request,
            currency=rules.currency,
            multiplier=rules.multiplier,
            reference_price=reference_of(inputs),
            ts=now,
            because=because,
        )
        return Placed(client_order_id, None)

    def free_cash(self, portfolio_id: str) -> Decimal | None:
        """Cash of the last valuation, moved by later fills, less what open buys reserve; None without a valuation."""
        snapshot = self._state.snapshots.get(portfolio_id)
        if snapshot is None:
            return None
        moved = sum((amount for _, amount in self._state.cash_effects.get(portfolio_id, ())), _ZERO)
        reserved = sum(
            (
                order.leaves_quantity * order.reserve_price * order.multiplier
                for order in self._orders.working()
                if order.portfolio_id == portfolio_id and order.side == "buy"
            ),
            _ZERO,
        )
        return snapshot.cash + moved - reserved * (1 + self._limits.buying_power_reserve)

    def spendable(self, portfolio_id: str) -> Decimal:
        """The largest notional a buy may have now as far as cash goes; 0 without a valuation."""
        cash = self.free_cash(portfolio_id)
        return max(_ZERO, cash / (1 + self._limits.buying_power_reserve)) if cash is not None else _ZERO

    def _inputs(self, request: OrderRequest, now: int) -> GateInputs:
        state = self._state
        symbol, portfolio_id = request.symbol, request.portfolio_id
        position = self._positions.quantity(portfolio_id, request.strategy_id, symbol)
        opened = self._open(request)
        snapshot = state.snapshots.get(portfolio_id)
        unknown = self._orders.unknown_of(symbol)
        return GateInputs(
            now=now,
            rules=state.rules.get(symbol),
            mark=state.marks.get(symbol),
            halt=self._halts.stopping(
                portfolio_id,
                request.strategy_id,
                symbol,
                is_reducing=is_reducing(request, position, opened.buys, opened.sells),
            ),
            position=position,
            open_buys=opened.buys,
            open_sells=opened.sells,
            portfolio_position=self._positions.portfolio_quantity(portfolio_id, symbol),
            portfolio_open_buys=opened.portfolio_buys,
            portfolio_open_sells=opened.portfolio_sells,
            cash=self.free_cash(portfolio_id),
            equity=snapshot.equity if snapshot is not None else None,
            valued_at=snapshot.ts_event if snapshot is not None else None,
            currency=snapshot.base_currency if snapshot is not None else None,
            twin_at=state.recent_orders.get(request.fingerprint),
            unknown_order=unknown.client_order_id if unknown is not None else None,
        )

    def _open(self, request: OrderRequest) -> _Open:
        found = _Open()
        for order in self._orders.working():
            if order.portfolio_id != request.portfolio_id or order.symbol != request.symbol:
                continue
            leaves = order.leaves_quantity
            is_own = order.strategy_id == request.strategy_id
            if order.side == "buy":
                found.portfolio_buys += leaves
                found.buys += leaves if is_own else _ZERO
            else:
                found.portfolio_sells += leaves
                found.sells += leaves if is_own else _ZERO
        return found

    def _remember(self, request: OrderRequest, now: int) -> None:
        recent = self._state.recent_orders
        for fingerprint in [key for key, ts in recent.items() if now - ts >= self._limits.duplicate_window_ns]:
            del recent[fingerprint]
        recent[request.fingerprint] = now

    def _deny(
        self, client_order_id: str, request: OrderRequest, denial: Denial, now: int, because: Sequence[str]
    ) -> None:
        state = self._state
        state.denials[denial.check] = state.denials.get(denial.check, 0) + 1
        event = OrderDenied(
            now,
            client_order_id,
            request.portfolio_id,
            request.strategy_id,
            request.symbol,
            request.side,
            request.order_type,
            request.quantity,
            denial.check,
            denial.limit,
            denial.value,
            denial.remedy,
        )
        state.denied[client_order_id] = event
        if len(state.denied) > KEPT_DENIED:
            del state.denied[next(iter(state.denied))]
        self._orders.publish(event, because)
