"""Events a portfolio lives on, with everything a test does not care about filled in."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

from libs.clock import Clock
from libs.contracts.market import CloseReceived, InstrumentDefined
from libs.contracts.orders import OrderFilled, Side
from libs.contracts.portfolio import RecordCashFlow
from libs.engine.engine import Outbox
from libs.testing.engine_harness import EngineHarness
from services.portfolio.engine import PortfolioEngine
from services.portfolio.settings import PortfolioSettings

DAY = 86_400 * 1_000_000_000
_fill_number = count(1)


def make(clock: Clock, outbox: Outbox) -> PortfolioEngine:
    return PortfolioEngine(clock, outbox, PortfolioSettings())


def instrument(symbol: str = "AAA.X", multiplier: str = "1", currency: str = "USD", ts: int = 0) -> InstrumentDefined:
    return InstrumentDefined(ts, symbol, "equity", currency, multiplier=multiplier)


def close(price: float, symbol: str = "AAA.X", ts: int = DAY, is_synthetic: bool = False) -> CloseReceived:
    return CloseReceived(ts, symbol, "1d", price, "test", is_synthetic)


def fill(
    side: Side,
    quantity: str,
    price: str,
    symbol: str = "AAA.X",
    *,
    ts: int = DAY,
    commission: str = "0",
    fill_id: str = "",
    portfolio_id: str = "main",
    currency: str = "USD",
) -> OrderFilled:
    amount = Decimal(quantity)
    identifier = fill_id or f"F{next(_fill_number)}"
    return OrderFilled(
        ts, f"O-{identifier}", f"V-{identifier}", identifier, portfolio_id, "strategy", symbol, side, amount,
        Decimal(price), amount, Decimal(0), Decimal(commission), Decimal(0), currency, "filled",
    )  # fmt: skip


def flow(kind: str, amount: str, reference: str, portfolio_id: str = "main", currency: str = "USD") -> RecordCashFlow:
    return RecordCashFlow(0, portfolio_id, Decimal(amount), currency, kind, reference, "tester")  # type: ignore[arg-type]


def harness(*symbols: str) -> EngineHarness:
    """An engine that knows the symbols, the first of them AAA.X unless others are named."""
    started = EngineHarness(make)
    started.send(*(instrument(symbol) for symbol in symbols or ("AAA.X",)))
    return started
