"""Historical simulation: what today's positions would have earned on each of the past days.

Every number here is the same to the bit on every machine: element-wise arithmetic in a fixed order and exact sums
(``fsum``), no linear algebra library whose order of addition depends on the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum, sqrt
from typing import Final, NamedTuple

import numpy as np

from libs.finance.value_at_risk import (
    historical_cvar,
    historical_var,
    normal_quantile,
    parametric_cvar,
    parametric_var,
    quantile_ranks,
)
from services.risk.prices import Floats, PriceTable

CONFIDENCES: Final = (0.95, 0.99)
#: Names of the published values, in order.
VALUE_NAMES: Final = tuple(
    f"{method}_{measure}_{round(100 * confidence)}"
    for method in ("historical", "parametric")
    for measure in ("var", "cvar")
    for confidence in CONFIDENCES
)
TRADING_DAYS: Final = 252


class Outcomes(NamedTuple):
    """Simulated profits and losses of one day, in money.

    Attributes:
        symbols: Of the holdings, sorted.
        by_symbol: Shape ``(len(symbols), observations)``, oldest day first.
        total: Shape ``(observations,)``.
    """

    symbols: tuple[str, ...]
    by_symbol: Floats
    total: Floats

    @property
    def observations(self) -> int:
        """Days simulated."""
        return len(self.total)


def simulate(holdings: Mapping[str, float], prices: PriceTable, window: int) -> Outcomes:
    """Today's ``holdings`` over their joint past returns, at most ``window`` days."""
    symbols = tuple(sorted(holdings))
    returns = prices.joint_returns(symbols, window)
    by_symbol = returns * np.array([holdings[symbol] for symbol in symbols]).reshape(-1, 1)
    total = np.zeros(by_symbol.shape[1])
    for row in by_symbol:
        total += row
    return Outcomes(symbols, by_symbol, total)


def missing_reason(outcomes: Outcomes, prices: PriceTable, needed: int) -> str:
    """Why the outcomes are too few to say anything, or empty when they are enough."""
    if not outcomes.symbols or outcomes.observations >= needed:
        return ""
    days = {symbol: prices.days_of(symbol) for symbol in outcomes.symbols}
    shortest = min(days, key=lambda symbol: (days[symbol], symbol))
    return (
        f"{outcomes.observations} days on which all positions have a return, {needed} are needed; "
        f"{shortest} has the shortest history, {days[shortest]} closes"
    )


def tail_values(outcomes: Outcomes) -> dict[str, float]:
    """Every value of ``VALUE_NAMES``; zero for a portfolio without positions, which risks nothing."""
    if not outcomes.symbols:
        return dict.fromkeys(VALUE_NAMES, 0.0)
    ordered: list[float] = np.sort(outcomes.total).tolist()
    deviation = standard_deviation(outcomes.total)
    values = [historical_var(ordered, confidence) for confidence in CONFIDENCES]
    values += [historical_cvar(ordered, confidence) for confidence in CONFIDENCES]
    values += [parametric_var(deviation, confidence) for confidence in CONFIDENCES]
    values += [parametric_cvar(deviation, confidence) for confidence in CONFIDENCES]
    return dict(zip(VALUE_NAMES, values, strict=True))


def standard_deviation(values: Floats) -> float:
    """Sample standard deviation (n - 1) about the sample mean; ``values`` holds at least two."""
    deviations = values - fsum(values.tolist()) / len(values)
    return sqrt(fsum((deviations * deviations).tolist()) / (len(values) - 1))


def annual_volatility(outcomes: Outcomes, window: int, equity: float) -> float:
    """Deviation of the newest ``window`` outcomes as a fraction of ``equity``, times the root of 252."""
    if not outcomes.symbols:
        return 0.0
    return standard_deviation(outcomes.total[-window:]) / equity * sqrt(TRADING_DAYS)


def historical_components(outcomes: Outcomes, confidence: float) -> dict[str, float]:
    """What each position contributes to the historical VaR: its loss on the days that make the quantile.

    They sum to ``historical_var`` (Euler allocation on the empirical distribution; Tasche 1999).
    """
    order = np.argsort(outcomes.total, kind="stable")
    low, high, weight = quantile_ranks(outcomes.observations, confidence)
    worse, better = outcomes.by_symbol[:, order[low]], outcomes.by_symbol[:, order[high]]
    losses = -(worse + (better - worse) * weight)
    return dict(zip(outcomes.symbols, losses.tolist(), strict=True))


def parametric_components(outcomes: Outcomes, confidence: float) -> dict[str, float]:
    """What each position contributes to the parametric VaR: ``z * covariance with the whole / deviation``.

    They sum to ``parametric_var`` with mean 0 (component VaR; Jorion 2007, chapter 7).
    """
    total, count = outcomes.total, outcomes.observations
    deviation = standard_deviation(total)
    if deviation == 0.0:
        return dict.fromkeys(outcomes.symbols, 0.0)
    centred = total - fsum(total.tolist()) / count
    scale = normal_quantile(confidence) / deviation / (count - 1)
    return {
        symbol: scale * fsum((row * centred).tolist())
        for symbol, row in zip(outcomes.symbols, outcomes.by_symbol, strict=True)
    }
