"""A small market the ml tests share: seeded closes and feature vectors, instruments and steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from libs.clock import Clock
from libs.contracts.analysis import FeaturesCalculated
from libs.contracts.market import CloseReceived, InstrumentDefined
from libs.engine.engine import Outbox
from libs.messagebus.topic import Event
from services.ml.engine import MlEngine
from services.ml.settings import MlSettings

DAY_NS = 86_400 * 1_000_000_000
SYMBOLS = ("AAPL.XNAS", "BAC.XNYS", "CVX.XNYS", "KO.XNYS")
SETTINGS = MlSettings(minimum_days=5, refit_days=3)

Floats = NDArray[np.float64]


def make(clock: Clock, outbox: Outbox) -> MlEngine:
    return MlEngine(clock, outbox, SETTINGS)


class Market:
    """Closes and features of some days; one feature carries ``link`` of the next return, the rest is noise.

    Attributes:
        closes: Shape (days, names).
        features: Name to shape (days, names).
    """

    def __init__(self, days: int, names: int = len(SYMBOLS), seed: int = 5, link: float = 0.3) -> None:
        generator = np.random.default_rng(seed)
        signal = generator.normal(0.0, 0.01, (days, names))
        returns = link * signal + generator.normal(0.0002, 0.015, (days, names))
        self.closes: Floats = 40.0 * np.exp(np.cumsum(np.vstack([np.zeros(names), returns[:-1]]), axis=0))
        noise = {name: generator.normal(0.0, 1.0, (days, names)) for name in "abcdefg"}
        close = self.closes
        self.features: dict[str, Floats] = {
            "sma_20": close * (1.0 - signal),
            "ema_20": close * (1.0 + 0.01 * noise["a"]),
            "rsi_14": 50.0 + 10.0 * noise["b"],
            "macd": 0.01 * close * noise["c"],
            "macd_histogram": 0.002 * close * noise["d"],
            "bollinger_upper_20": close * 1.1,
            "bollinger_lower_20": close * 0.9,
            "realized_vol": 0.2 + 0.05 * np.abs(noise["e"]),
            "momentum_10": 0.03 * close * noise["f"],
            "roc_12": 0.03 * noise["g"],
        }

    def inputs(self, day: int, name: int) -> Floats:
        """The nine inputs, written out once more, independently of the engine."""
        close = self.closes[day, name]
        value = {key: column[day, name] for key, column in self.features.items()}
        width = value["bollinger_upper_20"] - value["bollinger_lower_20"]
        return np.array([
            close / value["sma_20"] - 1, close / value["ema_20"] - 1, value["rsi_14"] / 100 - 0.5,
            value["macd"] / close, value["macd_histogram"] / close, (close - value["sma_20"]) / width,
            value["realized_vol"], close / (close - value["momentum_10"]) - 1, value["roc_12"],
        ])  # fmt: skip

    def close(self, day: int, name: int, synthetic: bool = False) -> CloseReceived:
        return CloseReceived((day + 1) * DAY_NS, SYMBOLS[name], "1d", float(self.closes[day, name]), "test", synthetic)

    def vector(self, day: int, name: int) -> FeaturesCalculated:
        values = {key: float(column[day, name]) for key, column in self.features.items()}
        return FeaturesCalculated((day + 1) * DAY_NS, SYMBOLS[name], "1d", values, {}, DAY_NS)

    def day(self, day: int, names: Sequence[int] | None = None) -> list[Event]:
        chosen = range(self.closes.shape[1]) if names is None else names
        return [event for name in chosen for event in (self.close(day, name), self.vector(day, name))]


def defined(names: int = len(SYMBOLS)) -> list[Event]:
    return [InstrumentDefined(0, symbol, "equity", "USD") for symbol in SYMBOLS[:names]]
