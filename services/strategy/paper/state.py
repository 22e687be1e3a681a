"""Everything the paper venue knows."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.contracts.orders import OrderType, Side, TimeInForce
from services.strategy.instruments import TradingRules


class PaperOrder(msgspec.Struct):
    """A working order at the venue.

    Attributes:
        accepted_ts: Only what is later can fill it.
        filled_notional: Money executed so far, for the commission of the whole order.
        charged: Commission charged so far.
        is_resting: A limit the market has not reached since it came: it waits passively and trades at its own price.
        is_triggered: A stop whose price was reached.
        session_day: Day (since 1970, UTC) whose end ends a day order; -1 until its first one begins.
        event_id: Of the order as it came.
    """

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    accepted_ts: int
    is_resting: bool
    filled_quantity: Decimal = Decimal(0)
    filled_notional: Decimal = Decimal(0)
    charged: Decimal = Decimal(0)
    is_triggered: bool = False
    session_day: int = -1
    event_id: str = ""

    @property
    def leaves_quantity(self) -> Decimal:
        """What is still open."""
        return self.quantity - self.filled_quantity


class LastPrice(msgspec.Struct, frozen=True, gc=False):
    """The last price of a symbol at the venue."""

    ts_event: int
    price: float


class PaperState(msgspec.Struct):
    """The whole state.

    Attributes:
        working: By client order id, in the order of acceptance.
        done: Client order ids that are over with their sides, oldest first; an order sent again is recognised by them.
        finest: By symbol the shortest price interval seen, nanoseconds; 0 = quotes. Coarser bars fill nothing.
        orders, reports: Ids given out.
    """

    rules: dict[str, TradingRules] = {}
    prices: dict[str, LastPrice] = {}
    finest: dict[str, int] = {}
    working: dict[str, PaperOrder] = {}
    done: dict[str, Side] = {}
    orders: int = 0
    reports: int = 0
    fills: int = 0
    resent: int = 0
    prices_refused: int = 0
