"""What people do to the recorded fleet, so that its engines hold more than a calm run leaves in them.

Before the cuts come what lasts (orders at rest, a halt, breaches, a second portfolio, a paused strategy), behind
them what only an engine that remembers answers rightly: the same order and the same deposit once more, cancels, a
release.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from libs.contracts.fleet import DEFAULT_PORTFOLIO
from libs.contracts.market import ControlFeed, ReportFeedState
from libs.contracts.orders import CancelAllOrders, CancelOrder, OrderType, PlaceOrder, SetStrategyState
from libs.contracts.portfolio import CreatePortfolio, RecordCashFlow
from libs.contracts.risk import DeleteLimit, HaltTrading, ResolveBreach, ResumeTrading, SetLimit
from libs.messagebus.topic import Event
from services.fleet.simulation import Simulation
from services.marketdata.stepping import REPLAY_FEED

ACTOR: Final = "operator"
PAUSED: Final = "moving_average_cross"
SYMBOLS: Final = ("GE.XNYS", "KO.XNYS", "MSFT.XNAS", "PEP.XNAS", "WMT.XNYS")


def interventions(simulation: Simulation, step: int, ts: int) -> Iterator[Event]:
    """Commands to send before timestamp ``ts``, the ``step``-th of the recording, is published."""
    match step:
        case 40:
            yield CreatePortfolio(ts, "second", "Second", "USD", Decimal(100_000), ACTOR)
            yield deposit(ts)
        case 60:
            yield limit(ts, "tight-leverage", "leverage", 0.01, "alert")
            yield limit(ts, "tight-drawdown", "drawdown", 0.0001, "alert")
            yield limit(ts, "few-pfizer", "position_size", 10.0, "block", symbol="PFE.XNYS")
        case 90:
            yield order(ts, "bought", "WMT.XNYS", None, "second")
            yield HaltTrading(ts, "symbol", "XOM.XNYS", "under review", ACTOR, False, True)
        case 100:
            yield SetStrategyState(ts, PAUSED, "paused", ACTOR, "maintenance")
            yield ControlFeed(ts, REPLAY_FEED, "speed", ACTOR, speed=50.0)
            yield ReportFeedState(ts, "quotes", "running", "connected", 1.0)
        case 110:
            yield order(ts, "halted", "XOM.XNYS", None)
        case 120:
            yield resolve(simulation, ts, "tight-leverage")
            yield RecordCashFlow(ts, "second", Decimal("12.34"), "USD", "dividend", "dividend-1", ACTOR)
        case 345:
            yield order(ts, "bought", "WMT.XNYS", None, "second")
            yield deposit(ts)
        case 350:
            yield ResumeTrading(ts, "symbol", "XOM.XNYS", "reviewed", ACTOR)
            yield resolve(simulation, ts, "tight-drawdown")
        case 355:
            yield SetStrategyState(ts, PAUSED, "running", ACTOR, "maintained")
            yield DeleteLimit(ts, "few-pfizer", ACTOR)
            yield ReportFeedState(ts, "quotes", "stopped", "closed", 1.0)
        case 360:
            yield HaltTrading(ts, "all", "", "drill", ACTOR)
        case 363:
            yield ResumeTrading(ts, "all", "", "drill over", ACTOR)
            yield CancelAllOrders(ts, "", "", ACTOR, "end of the day")
    if step >= 100 and step % 4 == 0:
        yield from _orders_by_hand(simulation, step, ts)


def _orders_by_hand(simulation: Simulation, step: int, ts: int) -> Iterator[Event]:
    """A limit order below the market, the one of 20 steps ago once more, and a cancel of the oldest that still rests.

    So wherever an engine is cut, orders rest in the books and an answer given before is asked for behind.
    """
    engine: Any = simulation.engine("strategy")
    symbol = SYMBOLS[step // 4 % len(SYMBOLS)]
    price = Decimal(str(round(engine.state.marks[symbol].price * 0.96, 2)))
    yield order(ts, f"by-hand-{step}", symbol, price)
    if step >= 120:
        yield order(ts, f"by-hand-{step - 20}", SYMBOLS[(step - 20) // 4 % len(SYMBOLS)], None)
    working = [one for one in engine.state.book.orders.values() if one.strategy_id == "manual" and one.leaves_quantity]
    resting = [one.client_order_id for one in working if one.state == "accepted"]
    if len(resting) > 3:
        yield CancelOrder(ts, resting[0], ACTOR, "no longer wanted")


def order(ts: int, key: str, symbol: str, price: Decimal | None, portfolio: str = DEFAULT_PORTFOLIO) -> PlaceOrder:
    """A buy by hand, at the market without a price."""
    kind: OrderType = "market" if price is None else "limit"
    return PlaceOrder(ts, key, portfolio, "manual", symbol, "buy", kind, "gtc", Decimal(5), price, None, False, ACTOR)


def limit(ts: int, name: str, kind: Any, value: float, action: Any, symbol: str = "") -> SetLimit:
    """A limit of every portfolio."""
    return SetLimit(ts, name, kind, value, 0.8, action, True, "", symbol, ACTOR)


def deposit(ts: int) -> RecordCashFlow:
    """The same deposit whenever it is made: the second is none."""
    return RecordCashFlow(ts, DEFAULT_PORTFOLIO, Decimal(25_000), "USD", "deposit", "deposit-1", ACTOR)


def resolve(simulation: Simulation, ts: int, limit_id: str) -> ResolveBreach:
    """Close the open breach of a limit by hand."""
    state: Any = simulation.engine("risk")
    breach = next(one for (name, _), one in sorted(state.state.open_breaches.items()) if name == limit_id)
    return ResolveBreach(ts, breach.breach_id, "looked at", ACTOR)
