"""Events of a small fleet, as the other engines would publish them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from libs.clock import Clock
from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, StepClosed
from libs.contracts.orders import OrderFilled, OrderSubmitted, Side
from libs.contracts.portfolio import PortfolioCreated, PortfolioSnapshotTaken
from libs.engine.engine import Outbox
from libs.testing.engine_harness import EngineHarness
from services.analytics.engine import AnalyticsEngine
from services.analytics.settings import AnalyticsSettings

DAY = 86_400_000_000_000
HOUR = DAY // 24
#: 2020-01-01 00:00 UTC.
START = 1_577_836_800_000_000_000
BENCHMARK = "SPX.INDEX"


def make_engine(clock: Clock, outbox: Outbox) -> AnalyticsEngine:
    return AnalyticsEngine(clock, outbox, AnalyticsSettings())


def harness() -> EngineHarness:
    return EngineHarness(make_engine, START - DAY)


def day(number: int, hour: int = 21) -> int:
    return START + number * DAY + hour * HOUR


def instrument(symbol: str, multiplier: str = "1", ts: int = START) -> InstrumentDefined:
    return InstrumentDefined(ts, symbol, "equity", "USD", multiplier=multiplier)


def price(ts: int, symbol: str, close: float, is_synthetic: bool = False) -> CloseReceived:
    return CloseReceived(ts, symbol, "1d", close, "test", is_synthetic)


def bar(ts: int, symbol: str, close: float) -> BarClosed:
    return BarClosed(ts, symbol, "1h", close, close, close, close, 100.0, "test")


def created(portfolio_id: str = "main", currency: str = "USD") -> PortfolioCreated:
    return PortfolioCreated(START, portfolio_id, portfolio_id, currency, Decimal(100_000))


def valuation(
    ts: int, equity: str | float, flows: str = "0", portfolio_id: str = "main", is_synthetic: bool = False
) -> PortfolioSnapshotTaken:
    worth, zero = Decimal(str(equity)), Decimal(0)
    return PortfolioSnapshotTaken(
        ts,
        portfolio_id,
        "USD",
        worth,
        worth,
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        Decimal(flows),
        worth,
        [],
        is_synthetic,
    )


def submitted(ts: int, order_id: str, reference: str, symbol: str = "AAPL.XNAS") -> OrderSubmitted:
    return OrderSubmitted(
        ts, order_id, "main", "trend", symbol, "buy", "market", "day", Decimal(100), None, None, False, "SIM",
        Decimal(reference),
    )  # fmt: skip


def filled(
    ts: int,
    order_id: str,
    fill_id: str,
    price: str,
    slippage: str = "0",
    side: Side = "buy",
    quantity: str = "100",
    leaves: str = "0",
    symbol: str = "AAPL.XNAS",
    currency: str = "USD",
) -> OrderFilled:
    return OrderFilled(
        ts, order_id, "v" + order_id, fill_id, "main", "trend", symbol, side, Decimal(quantity), Decimal(price),
        Decimal(quantity), Decimal(leaves), Decimal("1.25"), Decimal(slippage), currency, "filled",
    )  # fmt: skip


def step(ts: int, stage: str = "assess", number: int = 1) -> StepClosed:
    return StepClosed(ts, stage, number, "test")  # type: ignore[arg-type]


def history(equities: Iterable[float], closes: Iterable[float]) -> list[object]:
    """One valuation and one benchmark close a day, each day closed."""
    events: list[object] = []
    for number, (equity, close) in enumerate(zip(equities, closes, strict=True)):
        ts = day(number)
        events += [price(ts, BENCHMARK, close), valuation(ts, equity), step(ts, number=number + 1)]
    return events
