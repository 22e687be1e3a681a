"""Holdings, valuations and requests for the tests of collateral."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.clock import Clock
from libs.contracts.market import InstrumentDefined, StepClosed
from libs.contracts.portfolio import PortfolioSnapshotTaken, PositionMarked
from libs.engine.engine import Outbox
from libs.testing.engine_harness import EngineHarness
from services.collateral.engine import CollateralEngine
from services.collateral.margin import Thresholds
from services.collateral.positions import Holding
from services.collateral.settings import CollateralSettings

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
START = 1_577_836_800 * SECOND
THRESHOLDS = Thresholds(Decimal("0.80"), Decimal("0.90"), Decimal("0.95"))


def make_engine(clock: Clock, outbox: Outbox) -> CollateralEngine:
    return CollateralEngine(clock, outbox, CollateralSettings())


def harness() -> EngineHarness:
    return EngineHarness(make_engine, START)


def holding(
    name: str,
    asset_class: str,
    market_value: str | int,
    *,
    sector: str = "",
    duration: str | None = None,
    volatility: str | None = None,
) -> Holding:
    worth = Decimal(market_value)
    return Holding(
        name,
        name,
        asset_class,  # type: ignore[arg-type]
        Decimal(1) if worth >= 0 else Decimal(-1),
        worth,
        sector,
        None if duration is None else Decimal(duration),
        None if volatility is None else Decimal(volatility),
    )


def instrument(symbol: str, asset_class: str = "equity", sector: str = "") -> InstrumentDefined:
    return InstrumentDefined(START, symbol, asset_class, "USD", sector=sector)  # type: ignore[arg-type]


def snapshot(
    ts: int,
    equity: str,
    worths: dict[str, str],
    *,
    portfolio_id: str = "main",
    mark_ts: int | None = None,
    unrealized: str = "0",
    is_synthetic: bool = False,
) -> PortfolioSnapshotTaken:
    zero = Decimal(0)
    positions = [
        PositionMarked(
            symbol, Decimal(1), zero, abs(Decimal(worth)), mark_ts or ts, Decimal(worth), Decimal(unrealized), zero
        )
        for symbol, worth in sorted(worths.items())
    ]
    net = sum((position.market_value for position in positions), zero)
    return PortfolioSnapshotTaken(
        ts, portfolio_id, "USD", Decimal(equity) - net, Decimal(equity), abs(net), net, zero, zero, zero, zero, zero,
        Decimal(equity), positions, is_synthetic,
    )  # fmt: skip


def step(ts: int, stage: str = "assess") -> StepClosed:
    return StepClosed(ts, stage, 1, "test")  # type: ignore[arg-type]


def position_body(name: str, asset_class: str, market_value: str, **more: Any) -> dict[str, Any]:
    sign = "-1" if market_value.startswith("-") else "1"
    return {
        "id": name,
        "symbol": name,
        "quantity": sign,
        "market_value": market_value,
        "asset_class": asset_class,
        **more,
    }


def portfolio_body(cash: str, *positions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "what-if", "available_cash": cash, "positions": list(positions), **more}
