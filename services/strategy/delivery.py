"""What a step brings to the strategies, in an order that does not depend on how it arrived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from libs.contracts.analysis import FactorsCalculated, FeaturesCalculated, PredictionMade
from libs.contracts.market import QuoteReceived, StepClosed
from libs.contracts.orders import OrderFilled
from services.strategy.state import PriceBar, StepBuffer
from services.strategy.strategy import Strategy


class _Dated(Protocol):
    @property
    def ts_event(self) -> int: ...


V = TypeVar("V", bound=_Dated)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One step's worth of callbacks, each list in canonical order.

    Attributes:
        fills: As the venue reported them; each goes to the strategy whose order it was.
        timers: (strategy, name, when it was due), sorted.
    """

    step: StepClosed
    fills: list[OrderFilled]
    bars: list[PriceBar]
    quotes: list[QuoteReceived]
    features: list[FeaturesCalculated]
    factors: list[FactorsCalculated]
    predictions: list[PredictionMade]
    timers: list[tuple[str, str, int]]


def take_delivery(buffer: StepBuffer, step: StepClosed) -> Delivery:
    """Take out of ``buffer`` what belongs to ``step``.

    What is later than the step stays: in a fleet that runs free an engine may be ahead of the market stream, and a
    decision must not see it. In lockstep nothing is ever later.
    """
    ts = step.ts_event
    fills, buffer.fills = buffer.fills, []
    timers = sorted((strategy, name, due) for (strategy, name), due in buffer.timers.items())
    buffer.timers = {}
    return Delivery(
        step,
        fills,
        _take(buffer.bars, ts),
        _take(buffer.quotes, ts),
        _take(buffer.features, ts),
        _take(buffer.factors, ts),
        _take(buffer.predictions, ts),
        timers,
    )


def _take(waiting: dict[Any, V], ts: int) -> list[V]:
    keys = sorted(waiting)
    return [waiting.pop(key) for key in keys if waiting[key].ts_event <= ts]


def deliver(strategy: Strategy[Any, Any], delivery: Delivery) -> None:
    """Make every callback of one strategy; see :class:`services.strategy.strategy.Strategy` for the order."""
    for fill in delivery.fills:
        if fill.strategy_id == strategy.strategy_id:
            strategy.on_fill(fill)
    _each(strategy.on_bar, delivery.bars)
    _each(strategy.on_quote, delivery.quotes)
    _each(strategy.on_feature, delivery.features)
    _each(strategy.on_factor, delivery.factors)
    _each(strategy.on_prediction, delivery.predictions)
    for owner, name, due in delivery.timers:
        if owner == strategy.strategy_id:
            strategy.on_timer(name, due)
    strategy.on_step(delivery.step)


def _each(callback: Callable[[V], None], items: list[V]) -> None:
    for item in items:
        callback(item)
