"""A strategy that writes down every callback, so that tests see what was delivered and in which order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.contracts.analysis import FactorsCalculated, FeaturesCalculated, PredictionMade
from libs.contracts.market import QuoteReceived, StepClosed
from libs.contracts.orders import OrderFilled
from services.strategy.library import LIBRARY
from services.strategy.settings import StrategyDefinition
from services.strategy.state import PriceBar
from services.strategy.strategy import Strategy, StrategyData, StrategyParameters


class RecorderParameters(StrategyParameters, frozen=True, kw_only=True):
    """``fail_at``: a price at which it raises; ``buy_at``: one at which it buys; ``timer_ns``: arms a timer."""

    fail_at: float = 0.0
    buy_at: float = 0.0
    timer_ns: int = 0


class RecorderData(StrategyData):
    """How many callbacks there were."""

    calls: int = 0


class Recorder(Strategy[RecorderParameters, RecorderData]):
    library_id = "recorder"
    title = "writes down what it is told"
    reference = "none"
    parameters_type = RecorderParameters
    data_type = RecorderData

    def note(self, text: str) -> None:
        self.data.calls += 1
        self.log(f"{self.data.calls} {text}")

    def on_start(self) -> None:
        self.note("start")
        if self.parameters.timer_ns:
            self.desk.set_timer("tick", self.parameters.timer_ns)

    def on_fill(self, fill: OrderFilled) -> None:
        self.note(f"fill {fill.fill_id} holds {self.desk.position(fill.symbol)}")

    def on_bar(self, bar: PriceBar) -> None:
        self.note(f"bar {bar.symbol} {bar.interval} {bar.open} {bar.close}")
        if bar.close == self.parameters.fail_at:
            raise RuntimeError(f"price {bar.close} is too much")
        if bar.close == self.parameters.buy_at:
            self.note(f"bought {self.buy(bar.symbol, Decimal(1))}")

    def on_quote(self, quote: QuoteReceived) -> None:
        self.note(f"quote {quote.symbol} {quote.bid}")

    def on_feature(self, features: FeaturesCalculated) -> None:
        self.note(f"feature {features.symbol} {features.values}")

    def on_factor(self, factors: FactorsCalculated) -> None:
        self.note(f"factor {factors.symbol}")

    def on_prediction(self, prediction: PredictionMade) -> None:
        self.note(f"prediction {prediction.symbol} {prediction.model_id}")

    def on_timer(self, name: str, ts_event: int) -> None:
        self.note(f"timer {name} {ts_event}")

    def on_step(self, step: StepClosed) -> None:
        self.note(f"step {step.step} equity {self.desk.equity()} spendable {self.desk.spendable():f}")


def recorder(strategy_id: str = "rec", **parameters: Any) -> StrategyDefinition:
    return StrategyDefinition(strategy_id=strategy_id, library_id="recorder", parameters=parameters)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the recorder into the library."""
    monkeypatch.setitem(LIBRARY, "recorder", Recorder)  # type: ignore[arg-type]
