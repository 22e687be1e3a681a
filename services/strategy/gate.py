"""The pre-trade gate: what an order is checked against, and the order of the checks.

Every order, a strategy's or a person's, passes here before it exists for anyone else. A check that lacks an input
denies: a limit that cannot be evaluated is not a limit that holds. Cancels never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from libs.contracts.orders import OrderType, Side, TimeInForce
from services.strategy.instruments import TradingRules
from services.strategy.state import Halt, Mark


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order somebody wants, before it has an id."""

    portfolio_id: str
    strategy_id: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = "market"
    time_in_force: TimeInForce = "day"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool = False

    @property
    def is_buy(self) -> bool:
        """Whether it adds units."""
        return self.side == "buy"

    @property
    def fingerprint(self) -> str:
        """What makes two orders the same order to the duplicate check."""
        return (
            f"{self.portfolio_id}|{self.strategy_id}|{self.symbol}|{self.side}|{self.order_type}|{self.time_in_force}|"
            f"{self.quantity}|{self.limit_price}|{self.stop_price}|{self.reduce_only}"
        )


@dataclass(frozen=True, slots=True)
class GateLimits:
    """The limits, from the settings.

    Attributes:
        max_quantity: Units of one order.
        max_notional: Money of one order; ``max_notional_fraction`` of the portfolio's equity where that is more.
        max_position_notional: Money of one symbol in a portfolio; likewise with ``max_position_fraction``.
        price_collar: Largest distance of a price to the reference on its dangerous side, a fraction.
        stale_ns: Greatest age of the reference price and of the portfolio's valuation, in fleet time.
        duplicate_window_ns: Equal orders closer together than this are one order sent twice.
        buying_power_reserve: Share added to a buy's cost, for commission and for a worse price than the reference.
        allow_short: Whether a strategy may hold less than nothing.
    """

    max_quantity: Decimal
    max_notional: Decimal
    max_notional_fraction: Decimal
    max_position_notional: Decimal
    max_position_fraction: Decimal
    price_collar: Decimal
    stale_ns: int
    duplicate_window_ns: int
    buying_power_reserve: Decimal
    allow_short: bool


@dataclass(frozen=True, slots=True)
class GateInputs:
    """What the checks look at; None where there is no such thing.

    Attributes:
        position: The strategy's signed quantity of the symbol.
        open_buys, open_sells: Units of its working orders in the symbol.
        portfolio_position: Over all strategies of the portfolio, with ``portfolio_open_buys`` and so on.
        cash: Free cash of the portfolio: its last valuation's, moved by fills since, less what open buys reserve.
        equity: Of the portfolio's last valuation, ``valued_at`` its time, ``currency`` its base currency.
        twin_at: When an equal order was placed last.
        unknown_order: Id of an order of the symbol whose fate nobody knows.
    """

    now: int
    rules: TradingRules | None
    mark: Mark | None
    halt: Halt | None
    position: Decimal
    open_buys: Decimal
    open_sells: Decimal
    portfolio_position: Decimal
    portfolio_open_buys: Decimal
    portfolio_open_sells: Decimal
    cash: Decimal | None
    equity: Decimal | None
    valued_at: int | None
    currency: str | None
    twin_at: int | None
    unknown_order: str | None


@dataclass(frozen=True, slots=True)
class Denial:
    """Why the gate refused: the check's name, its limit, the order's value, and what to do."""

    check: str
    limit: str
    value: str
    remedy: str


Check = Callable[[OrderRequest, GateInputs, GateLimits], Denial | None]


def is_reducing(request: OrderRequest, position: Decimal, open_buys: Decimal, open_sells: Decimal) -> bool:
    """Whether the order can only bring the strategy's position closer to zero, whatever of its open orders fills."""
    if not request.quantity.is_finite():
        return False
    if request.is_buy:
        return request.quantity <= -position - open_buys
    return request.quantity <= position - open_sells


def shown(value: Decimal) -> str:
    """A finite number as a denial shows it: plain digits without trailing zeros."""
    return format(value.normalize(), "f")


def first_denial(
    checks: tuple[Check, ...], request: OrderRequest, inputs: GateInputs, limits: GateLimits
) -> Denial | None:
    """The first check that refuses, or None where all pass."""
    for check in checks:
        denial = check(request, inputs, limits)
        if denial is not None:
            return denial
    return None
