"""Averages that remember the whole past with geometrically falling weight: EMA, Wilder's, MACD, RSI, ATR.

A recursion ``v += k (x - v)`` with ``0 < k < 1`` shrinks a rounding error made in it by ``1 - k`` a step, so errors
never add up: after 8,000 bars they are as small as after 80 (``test_oracle.py`` would catch the opposite).

Seeding is TA-Lib's everywhere, so that TA-Lib can be the oracle: the first value is the plain mean of the first
``period`` inputs; in the MACD both averages start at bar 26, the fast one from the mean of the newest 12.
"""

from __future__ import annotations

from math import fsum

import msgspec

MACD_FAST, MACD_SLOW, MACD_SIGNAL = 12, 26, 9


class ExponentialAverage(msgspec.Struct):
    """EMA with ``k = 2 / (period + 1)``.

    Attributes:
        seed: The first inputs, until there are ``period``.
        value: The average, None during warm-up.
    """

    period: int
    seed: list[float] = []
    value: float | None = None

    def update(self, price: float) -> float | None:
        """Take one input; returns the average, or None during warm-up."""
        value = self.value
        if value is not None:
            self.value = value = (price - value) * (2.0 / (self.period + 1)) + value
            return value
        self.seed.append(price)
        if len(self.seed) == self.period:
            self.value = fsum(self.seed) / self.period
            self.seed = []
        return self.value


class WilderAverage(msgspec.Struct):
    """Wilder's smoothing, ``v = (v (period - 1) + x) / period``.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """

    period: int
    seed: list[float] = []
    value: float | None = None

    def update(self, amount: float) -> float | None:
        """Take one input; returns the average, or None during warm-up."""
        value = self.value
        if value is not None:
            self.value = value = (value * (self.period - 1) + amount) / self.period
            return value
        self.seed.append(amount)
        if len(self.seed) == self.period:
            self.value = fsum(self.seed) / self.period
            self.seed = []
        return self.value


class RelativeStrength(msgspec.Struct):
    """Wilder's RSI, 0 to 100; it needs ``period`` changes, so one price more."""

    gain: WilderAverage
    loss: WilderAverage

    @classmethod
    def of(cls, period: int) -> RelativeStrength:
        """A fresh one."""
        return cls(WilderAverage(period), WilderAverage(period))

    def update(self, change: float) -> float | None:
        """Take one price change; None during warm-up, and while no price has moved yet (0 / 0)."""
        gain = self.gain.update(change if change > 0.0 else 0.0)
        loss = self.loss.update(-change if change < 0.0 else 0.0)
        if gain is None or loss is None or gain + loss == 0.0:
            return None
        return 100.0 * gain / (gain + loss)


class Convergence(msgspec.Struct):
    """MACD 12/26/9 (Gerald Appel): fast EMA less slow EMA, and the EMA of that difference.

    Attributes:
        seed: The first 26 prices, until there are that many.
    """

    fast: ExponentialAverage
    slow: ExponentialAverage
    signal: ExponentialAverage
    seed: list[float] = []

    @classmethod
    def fresh(cls) -> Convergence:
        """A fresh one."""
        return cls(ExponentialAverage(MACD_FAST), ExponentialAverage(MACD_SLOW), ExponentialAverage(MACD_SIGNAL))

    def update(self, price: float) -> tuple[float | None, float | None]:
        """Take one price; returns (macd, signal), each None during its warm-up (26 and 34 prices)."""
        fast, slow = self.fast.value, self.slow.value
        if fast is None or slow is None:
            self.seed.append(price)
            if len(self.seed) < MACD_SLOW:
                return None, None
            self.slow.value = slow = fsum(self.seed) / MACD_SLOW
            self.fast.value = fast = fsum(self.seed[-MACD_FAST:]) / MACD_FAST
            self.seed = []
        else:
            self.slow.value = slow = (price - slow) * (2.0 / (MACD_SLOW + 1)) + slow
            self.fast.value = fast = (price - fast) * (2.0 / (MACD_FAST + 1)) + fast
        macd = fast - slow
        return macd, self.signal.update(macd)
