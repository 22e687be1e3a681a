"""All features of one price series, brought forward one price at a time.

Streaming and batch calculation are the same code: a batch is a fresh :class:`Series` fed price by price, so both
agree to the last bit.
"""

from __future__ import annotations

from math import log

import msgspec

from services.features.definitions import WINDOW
from services.features.ranges import RangeWindows
from services.features.recursive import Convergence, ExponentialAverage, RelativeStrength
from services.features.windows import mean_and_deviation, realized_volatility

#: Prices beyond these magnitudes are data errors, and would overflow or underflow a ratio.
LARGEST_PRICE, SMALLEST_PRICE = 1e15, 1e-12
LARGEST_VOLUME = 1e18

_AVERAGE, _RETURNS, _MOMENTUM, _CHANGE = 20, 20, 10, 12
#: Realised volatility is annualised by trading days, which only fits this interval.
DAILY = "1d"


class Series(msgspec.Struct):
    """State and update of one series.

    Attributes:
        interval: ``1d``, ``1m``, ...: the time between prices.
        timestamps: UNIX nanoseconds of ``closes``.
        closes: Newest last, at most 21.
        returns: Log returns between them, at most 20; None where a price was not positive.
        is_synthetic: True from the first synthetic price on: the averages never quite forget it.
        source: Source of the newest price.
    """

    interval: str
    ema: ExponentialAverage
    rsi: RelativeStrength
    macd: Convergence
    ranges: RangeWindows
    timestamps: list[int] = []
    closes: list[float] = []
    returns: list[float | None] = []
    is_synthetic: bool = False
    source: str = ""

    @classmethod
    def fresh(cls, interval: str) -> Series:
        """A series without prices."""
        return cls(
            interval, ExponentialAverage(_AVERAGE), RelativeStrength.of(14), Convergence.fresh(), RangeWindows.fresh()
        )

    def update(
        self, ts_event: int, close: float, high: float | None = None, low: float | None = None,
        volume: float | None = None,
    ) -> tuple[dict[str, float], dict[str, str]]:  # fmt: skip
        """Take one price; ``high`` and ``low`` come together, ``volume`` may be absent.

        Returns:
            Values by feature name, and the reasons of the features without one.

        Raises:
            ValueError: If a number is impossible; nothing was changed then.
        """
        check_price(close, high, low, volume)
        closes = self.closes
        previous = closes[-1] if closes else None
        closes.append(close)
        self.timestamps.append(ts_event)
        if previous is not None:
            self.returns.append(log(close / previous) if close > 0.0 and previous > 0.0 else None)
        if len(closes) > WINDOW:
            del closes[0], self.timestamps[0], self.returns[0]
        values: dict[str, float] = {}
        missing: dict[str, str] = {}
        self._averages(close, previous, values, missing)
        self._realized(values, missing)
        self._differences(close, values, missing)
        self.ranges.update(close, previous, high, low, volume, values, missing)
        return values, missing

    # -- from closes ------------------------------------------------------------------------------

    def _averages(
        self, close: float, previous: float | None, values: dict[str, float], missing: dict[str, str]
    ) -> None:
        ema = self.ema.update(close)
        if ema is None:
            reason = f"warm-up: {len(self.closes)} of {_AVERAGE}"
            for name in ("sma_20", "ema_20", "bollinger_upper_20", "bollinger_middle_20", "bollinger_lower_20"):
                missing[name] = reason
        else:
            mean, deviation = mean_and_deviation(self.closes[-_AVERAGE:])
            values["sma_20"] = mean
            values["ema_20"] = ema
            values["bollinger_upper_20"] = mean + 2.0 * deviation
            values["bollinger_middle_20"] = mean
            values["bollinger_lower_20"] = mean - 2.0 * deviation
        rsi = None if previous is None else self.rsi.update(close - previous)
        if rsi is not None:
            values["rsi_14"] = rsi
        elif self.rsi.gain.value is None:
            missing["rsi_14"] = f"warm-up: {len(self.closes)} of 15"
        else:
            missing["rsi_14"] = "no price change yet: 0 / 0"
        macd, signal = self.macd.update(close)
        if macd is None:
            missing["macd"] = f"warm-up: {len(self.macd.seed)} of 26"
        else:
            values["macd"] = macd
        if macd is None or signal is None:
            have = 25 + len(self.macd.signal.seed) if macd is not None else len(self.macd.seed)
            missing["macd_signal"] = missing["macd_histogram"] = f"warm-up: {have} of 34"
        else:
            values["macd_signal"] = signal
            values["macd_histogram"] = macd - signal

    def _realized(self, values: dict[str, float], missing: dict[str, str]) -> None:
        if self.interval != DAILY:
            missing["realized_vol"] = f"annualised by trading days, so daily series only; interval is {self.interval}"
            return
        if len(self.returns) < _RETURNS:
            missing["realized_vol"] = f"warm-up: {len(self.closes)} of {_RETURNS + 1}"
            return
        usable = [value for value in self.returns if value is not None]
        if len(usable) < _RETURNS:
            missing["realized_vol"] = f"a log return needs positive prices; {_RETURNS - len(usable)} of 20 have none"
            return
        values["realized_vol"] = realized_volatility(usable)

    def _differences(self, close: float, values: dict[str, float], missing: dict[str, str]) -> None:
        closes = self.closes
        if len(closes) > _MOMENTUM:
            values["momentum_10"] = close - closes[-1 - _MOMENTUM]
        else:
            missing["momentum_10"] = f"warm-up: {len(closes)} of {_MOMENTUM + 1}"
        if len(closes) <= _CHANGE:
            missing["roc_12"] = f"warm-up: {len(closes)} of {_CHANGE + 1}"
        elif closes[-1 - _CHANGE] <= 0.0:
            missing["roc_12"] = (
                f"a rate of change needs a positive base; the close 12 before is {closes[-1 - _CHANGE]:g}"
            )
        else:
            values["roc_12"] = close / closes[-1 - _CHANGE] - 1.0


def check_price(close: float, high: float | None, low: float | None, volume: float | None) -> None:
    """Refuse impossible numbers.

    Raises:
        ValueError: For a close that is not finite or of absurd magnitude, a close outside its bar, a volume below zero.
    """
    if not (SMALLEST_PRICE <= abs(close) <= LARGEST_PRICE or close == 0.0):
        raise ValueError(f"close must be finite and of magnitude 1e-12 to 1e15, was {close}; correct the source's data")
    if high is not None or low is not None:
        if high is None or low is None:
            raise ValueError(f"high and low must come together, was high {high}, low {low}; give both or neither")
        if not -LARGEST_PRICE <= low <= close <= high <= LARGEST_PRICE:
            raise ValueError(
                f"bar must have low <= close <= high, was {low}, {close}, {high}; correct the source's data"
            )
    if volume is not None and not 0.0 <= volume <= LARGEST_VOLUME:
        raise ValueError(f"volume must be 0 to 1e18, was {volume}; correct the source's data")
