"""Short ways to write the events that the strategy and paper engines read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, QuoteReceived
from libs.contracts.orders import ExecutionReported, OrderSubmitted, PlaceOrder
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.testing.engine_harness import EngineHarness
from services.strategy.engine import StrategyEngine
from services.strategy.paper.engine import PaperVenueEngine
from services.strategy.settings import StrategySettings

DAY = 86_400_000_000_000
MINUTE = 60_000_000_000
SYMBOL = "AAA.X"


def day(number: int) -> int:
    """Midnight of the ``number``-th day after 2020-01-01."""
    return (18_262 + number) * DAY


def instrument(symbol: str = SYMBOL, **changes: Any) -> InstrumentDefined:
    return InstrumentDefined(
        **({"ts_event": day(0), "symbol": symbol, "asset_class": "equity", "currency": "USD"} | changes)
    )


def close(price: float, ts: int, symbol: str = SYMBOL, interval: str = "1d") -> CloseReceived:
    return CloseReceived(ts, symbol, interval, price, "test")


def bar(
    open_: float, high: float, low: float, close_: float, volume: float, ts: int, symbol: str = SYMBOL,
    interval: str = "1d",
) -> BarClosed:  # fmt: skip
    return BarClosed(ts, symbol, interval, open_, high, low, close_, volume, "test")


def quote(bid: float, ask: float, ts: int, size: float = 100.0, symbol: str = SYMBOL) -> QuoteReceived:
    return QuoteReceived(ts, symbol, bid, ask, size, size, "test")


def valuation(cash: str, ts: int, equity: str | None = None, portfolio_id: str = "main") -> PortfolioSnapshotTaken:
    zero = Decimal(0)
    worth = Decimal(equity if equity is not None else cash)
    return PortfolioSnapshotTaken(
        ts, portfolio_id, "USD", Decimal(cash), worth, worth - Decimal(cash), worth - Decimal(cash), zero, zero, zero,
        zero, Decimal(cash), worth, [],
    )  # fmt: skip


def place(side: str = "buy", quantity: str = "10", ts: int = 0, key: str = "k1", **changes: Any) -> PlaceOrder:
    values: dict[str, Any] = {
        "ts_event": ts, "idempotency_key": key, "portfolio_id": "main", "strategy_id": "manual", "symbol": SYMBOL,
        "side": side, "order_type": "market", "time_in_force": "day", "quantity": Decimal(quantity),
        "limit_price": None, "stop_price": None, "reduce_only": False, "actor": "tester",
    }  # fmt: skip
    return PlaceOrder(**(values | changes))


def submitted(
    side: str = "buy", quantity: str = "100", ts: int = 0, order_id: str = "strategy-00000001",
    order_type: str = "market", limit: str | None = None, stop: str | None = None, tif: str = "day", **changes: Any,
) -> OrderSubmitted:  # fmt: skip
    values: dict[str, Any] = {
        "ts_event": ts, "client_order_id": order_id, "portfolio_id": "main", "strategy_id": "manual",
        "symbol": SYMBOL, "side": side, "order_type": order_type, "time_in_force": tif, "quantity": Decimal(quantity),
        "limit_price": Decimal(limit) if limit else None, "stop_price": Decimal(stop) if stop else None,
        "reduce_only": False, "venue": "paper", "reference_price": Decimal(100),
    }  # fmt: skip
    return OrderSubmitted(**(values | changes))


def report(
    kind: str, order_id: str = "strategy-00000001", report_id: str = "R1", quantity: str = "0", price: str = "0",
    ts: int = 0, symbol: str = SYMBOL, side: str = "buy", commission: str = "0", reference: str = "0", reason: str = "",
) -> ExecutionReported:  # fmt: skip
    return ExecutionReported(
        ts, "paper", kind, report_id, order_id, "V1", symbol, side, Decimal(quantity), Decimal(price), Decimal(0),
        Decimal(0), Decimal(commission), Decimal(reference), reason,
    )  # type: ignore[arg-type]  # fmt: skip


def strategy_harness(start_ns: int = 0, **settings: Any) -> EngineHarness:
    """A strategy engine without strategies unless ``strategies`` is given."""
    chosen = StrategySettings(**({"strategies": ()} | settings))
    return EngineHarness(lambda clock, outbox: StrategyEngine(clock, outbox, chosen), start_ns=start_ns)


def ready_harness(cash: str = "1000000", price: float = 100.0, **settings: Any) -> EngineHarness:
    """A strategy engine that knows an instrument, its price and the portfolio's cash, all of day 1."""
    harness = strategy_harness(**settings)
    harness.send(instrument(), close(price, day(1)), valuation(cash, day(1)))
    harness.close_step(day(1))
    return harness


#: No costs, so that a fill shows the matching alone.
FREE = {"paper_slippage_bps": 0, "paper_impact_coefficient": 0, "paper_commission": "none"}


def paper_harness(**settings: Any) -> EngineHarness:
    """A paper venue that knows one instrument and its close of 100 on day 1; without costs unless given."""
    terms = StrategySettings(**({"strategies": ()} | FREE | settings)).paper_terms()
    harness = EngineHarness(lambda clock, outbox: PaperVenueEngine(clock, outbox, terms))
    harness.send(instrument(), close(100.0, day(1)))
    harness.close_step(day(1))
    return harness
