"""Features that need more than closes: high and low (ATR, stochastic, Williams %R) and volume.

A close-only price empties these windows: what happened between two closes is unknown from then on, and a window with
a hole in it has no range.
"""

from __future__ import annotations

from math import fsum

import msgspec

from services.features.recursive import WilderAverage
from services.features.windows import true_range, volume_weighted_price

_RANGE, _SMOOTH, _VOLUME = 14, 3, 20
_NO_RANGE = "no high and low: the newest price is close-only"
_NO_VOLUME = "no volume: the newest price has none"


class RangeWindows(msgspec.Struct):
    """High, low and volume windows of one series.

    Attributes:
        highs, lows: Newest last, at most 14, of consecutive bars.
        stochastic: Newest %K values, at most 3; None where high equals low over 14 bars.
        typical: (high + low + close) / 3 of bars with volume, at most 20.
        typical_volumes: Their volumes.
        volumes: At most 20, of consecutive prices with volume.
    """

    atr: WilderAverage
    highs: list[float] = []
    lows: list[float] = []
    stochastic: list[float | None] = []
    typical: list[float] = []
    typical_volumes: list[float] = []
    volumes: list[float] = []

    @classmethod
    def fresh(cls) -> RangeWindows:
        """Empty windows."""
        return cls(WilderAverage(_RANGE))

    def update(
        self, close: float, previous: float | None, high: float | None, low: float | None, volume: float | None,
        values: dict[str, float], missing: dict[str, str],
    ) -> None:  # fmt: skip
        """Take one price (checked already) and write its features into ``values`` or ``missing``."""
        if high is None or low is None:
            if self.highs:
                self.atr, self.highs, self.lows, self.stochastic = WilderAverage(_RANGE), [], [], []
            for name in ("atr_14", "williams_r", "stochastic_k", "stochastic_d"):
                missing[name] = _NO_RANGE
        else:
            self._true_range(high, low, previous, values, missing)
            self._stochastic(close, high, low, values, missing)
        self._volume(close, high, low, volume, values, missing)

    def _true_range(
        self, high: float, low: float, previous: float | None, values: dict[str, float], missing: dict[str, str]
    ) -> None:
        # The first price of a series has no close before it, hence no true range: TA-Lib leaves it out too.
        atr = None if previous is None else self.atr.update(true_range(high, low, previous))
        if atr is None:
            missing["atr_14"] = f"warm-up: {len(self.atr.seed)} of {_RANGE}"
        else:
            values["atr_14"] = atr

    def _stochastic(
        self, close: float, high: float, low: float, values: dict[str, float], missing: dict[str, str]
    ) -> None:
        highs, lows, recent = self.highs, self.lows, self.stochastic
        highs.append(high)
        lows.append(low)
        if len(highs) > _RANGE:
            del highs[0], lows[0]
        if len(highs) < _RANGE:
            missing["williams_r"] = missing["stochastic_k"] = f"warm-up: {len(highs)} of {_RANGE}"
            missing["stochastic_d"] = f"warm-up: {len(highs)} of {_RANGE + _SMOOTH - 1}"
            return
        top, bottom = max(highs), min(lows)
        if top > bottom:
            recent.append(100.0 * (close - bottom) / (top - bottom))
            values["williams_r"] = -100.0 * (top - close) / (top - bottom)
            values["stochastic_k"] = 100.0 * (close - bottom) / (top - bottom)
        else:
            recent.append(None)
            missing["williams_r"] = missing["stochastic_k"] = f"high equals low over {_RANGE} bars: 0 / 0"
        if len(recent) > _SMOOTH:
            del recent[0]
        usable = [value for value in recent if value is not None]
        if len(usable) == _SMOOTH:
            values["stochastic_d"] = fsum(usable) / _SMOOTH
        elif len(recent) < _SMOOTH:
            missing["stochastic_d"] = f"warm-up: {_RANGE - 1 + len(recent)} of {_RANGE + _SMOOTH - 1}"
        else:
            missing["stochastic_d"] = f"needs {_SMOOTH} stochastic_k; {_SMOOTH - len(usable)} of them are 0 / 0"

    def _volume(
        self, close: float, high: float | None, low: float | None, volume: float | None,
        values: dict[str, float], missing: dict[str, str],
    ) -> None:  # fmt: skip
        if volume is None:
            if self.volumes:
                self.volumes, self.typical, self.typical_volumes = [], [], []
            missing["volume_sma"] = missing["vwap"] = _NO_VOLUME
            return
        volumes = self.volumes
        volumes.append(volume)
        if len(volumes) > _VOLUME:
            del volumes[0]
        if len(volumes) == _VOLUME:
            values["volume_sma"] = fsum(volumes) / _VOLUME
        else:
            missing["volume_sma"] = f"warm-up: {len(volumes)} of {_VOLUME}"
        if high is None or low is None:
            self.typical, self.typical_volumes = [], []
            missing["vwap"] = _NO_RANGE
            return
        self.typical.append((high + low + close) / 3.0)
        self.typical_volumes.append(volume)
        if len(self.typical) > _VOLUME:
            del self.typical[0], self.typical_volumes[0]
        if len(self.typical) < _VOLUME:
            missing["vwap"] = f"warm-up: {len(self.typical)} of {_VOLUME}"
            return
        price = volume_weighted_price(self.typical, self.typical_volumes)
        if price is None:
            missing["vwap"] = f"no volume in {_VOLUME} bars: 0 / 0"
        else:
            values["vwap"] = price
