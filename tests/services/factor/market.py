"""A small market the factor tests share: seeded prices, instruments and steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from libs.clock import Clock
from libs.contracts.market import CloseReceived, InstrumentDefined
from libs.engine.engine import Outbox
from services.factor.engine import FactorEngine
from services.factor.settings import FactorSettings

DAY_NS = 86_400 * 1_000_000_000
SYMBOLS = ("AAPL.XNAS", "BAC.XNYS", "CVX.XNYS", "KO.XNYS", "XOM.XNYS")


def make(clock: Clock, outbox: Outbox) -> FactorEngine:
    return FactorEngine(clock, outbox, FactorSettings())


def prices(days: int, names: int = len(SYMBOLS), seed: int = 11) -> NDArray[np.float64]:
    """Closes of shape (days, names): random walks of unlike volatility."""
    generator = np.random.default_rng(seed)
    steps = generator.normal(0.0003, 1.0, (days, names)) * np.linspace(0.008, 0.03, names)
    return np.round(50.0 * np.exp(np.cumsum(steps, axis=0)), 3)


def instrument(symbol: str, is_tradable: bool = True, ts_event: int = 0) -> InstrumentDefined:
    return InstrumentDefined(ts_event, symbol, "equity", "USD", is_tradable=is_tradable)


def close(day: int, symbol: str, price: float, interval: str = "1d", synthetic: bool = False) -> CloseReceived:
    return CloseReceived((day + 1) * DAY_NS, symbol, interval, price, "test", synthetic)
