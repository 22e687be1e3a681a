"""Events risk lives on, with everything a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libs.clock import Clock
from libs.contracts.market import STEP_STAGES, CloseReceived, StepClosed
from libs.contracts.portfolio import PortfolioSnapshotTaken, PositionMarked
from libs.contracts.risk import SetLimit
from libs.engine.engine import Outbox
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness
from services.risk.engine import RiskEngine
from services.risk.settings import RiskSettings

DAY = 86_400 * 1_000_000_000
ZERO = Decimal(0)


def make(clock: Clock, outbox: Outbox) -> RiskEngine:
    return RiskEngine(clock, outbox, RiskSettings())


def close(symbol: str, day: int, price: float, is_synthetic: bool = False) -> CloseReceived:
    return CloseReceived(day * DAY, symbol, "1d", price, "test", is_synthetic)


def step(day: int) -> list[Event]:
    return [StepClosed(day * DAY, stage, day, "test") for stage in STEP_STAGES]


def snapshot(
    day: int,
    holdings: Mapping[str, float],
    equity: float = 1_000_000.0,
    *,
    pnl_day: float = 0.0,
    portfolio_id: str = "main",
    peak: float | None = None,
    net_flows: float = 1_000_000.0,
    mark_day: int | None = None,
    is_synthetic: bool = False,
) -> PortfolioSnapshotTaken:
    """A valuation with the given market value by symbol; what risk does not read is zero."""
    values = {symbol: Decimal(repr(value)) for symbol, value in sorted(holdings.items())}
    positions = [
        PositionMarked(
            symbol, value, Decimal(1), Decimal(1), (day if mark_day is None else mark_day) * DAY, value, ZERO, ZERO
        )
        for symbol, value in values.items()
    ]
    net = sum(values.values(), ZERO)
    worth = Decimal(repr(equity))
    return PortfolioSnapshotTaken(
        day * DAY, portfolio_id, "USD", worth - net, worth, sum(map(abs, values.values()), ZERO), net, ZERO, ZERO, ZERO,
        Decimal(repr(pnl_day)), Decimal(repr(net_flows)), worth if peak is None else Decimal(repr(peak)), positions,
        is_synthetic,
    )  # fmt: skip


def limit(limit_type: Any, value: float, action: Any = "alert", **fields: Any) -> SetLimit:
    defaults = {
        "limit_id": "L", "threshold_warning": 0.8, "enabled": True, "portfolio_id": "", "symbol": "", "actor": "tester",
        "threshold_breach": 1.0, "equity_fraction": 0.0,
    }  # fmt: skip
    return SetLimit(ts_event=0, limit_type=limit_type, limit_value=value, action=action, **(defaults | fields))


def paths(symbols: int, days: int, seed: int = 7) -> NDArray[np.float64]:
    """Prices of shape ``(symbols, days)`` with common and own movement; the seed makes them the same each time."""
    generator = np.random.default_rng(seed)
    common = generator.standard_t(4, days) * 0.007
    own = generator.normal(0.0003, 0.01, (symbols, days))
    return np.round(100.0 * np.exp(np.cumsum(common + own, axis=1)), 2)


def play(engine: EngineHarness, symbols: list[str], prices: NDArray[np.float64], first_day: int = 1) -> int:
    """Send one close a symbol and day; returns the last day."""
    for day in range(prices.shape[1]):
        engine.send(*(close(symbol, first_day + day, float(prices[row, day])) for row, symbol in enumerate(symbols)))
    return first_day + prices.shape[1] - 1
