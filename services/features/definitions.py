"""The catalogue of features: what each is, in which unit, from what, and after how many prices."""

from __future__ import annotations

from dataclasses import dataclass

#: Trading days a year by which daily volatility is annualised.
DAYS_PER_YEAR = 252
#: Prices kept for the bounded windows; realised volatility needs the most (20 returns).
WINDOW = 21


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """One feature.

    Attributes:
        inputs: Series it needs, of close, high, low, volume.
        warm_up: Prices (or bars) before its first value.
        unit: price, index (a fixed scale), fraction, price difference or units.
    """

    name: str
    inputs: tuple[str, ...]
    warm_up: int
    unit: str
    formula: str
    source: str


_CLOSE = ("close",)
_BAR = ("close", "high", "low")
_BOLLINGER = "J. Bollinger, Bollinger on Bollinger Bands, 2001; population deviation"
_LANE = "G. Lane, Technical Analysis of Stocks & Commodities 2:3, 1984 (fast stochastic)"
_LARRY = "L. Williams, How I Made One Million Dollars, 1973"
_WILDER = "J. W. Wilder, New Concepts in Technical Trading Systems, 1978"

DEFINITIONS: tuple[FeatureDefinition, ...] = (
    FeatureDefinition("sma_20", _CLOSE, 20, "price", "mean of 20 closes", "TA-Lib SMA"),
    FeatureDefinition("ema_20", _CLOSE, 20, "price", "k = 2/21, seeded by the mean of the first 20", "TA-Lib EMA"),
    FeatureDefinition("rsi_14", _CLOSE, 15, "index 0..100", "100 gain / (gain + loss), Wilder averages of 14", _WILDER),
    FeatureDefinition("macd", _CLOSE, 26, "price difference", "EMA 12 - EMA 26, both started at close 26", "G. Appel"),
    FeatureDefinition("macd_signal", _CLOSE, 34, "price difference", "EMA 9 of macd", "G. Appel"),
    FeatureDefinition("macd_histogram", _CLOSE, 34, "price difference", "macd - macd_signal", "T. Aspray, 1986"),
    FeatureDefinition("bollinger_upper_20", _CLOSE, 20, "price", "mean + 2 deviations of 20 closes", _BOLLINGER),
    FeatureDefinition("bollinger_middle_20", _CLOSE, 20, "price", "mean of 20 closes", _BOLLINGER),
    FeatureDefinition("bollinger_lower_20", _CLOSE, 20, "price", "mean - 2 deviations of 20 closes", _BOLLINGER),
    FeatureDefinition(
        "realized_vol", _CLOSE, 21, "fraction a year",
        "sample deviation (n - 1) of 20 log returns x sqrt(252); daily series only", "close-to-close estimator",
    ),
    FeatureDefinition("momentum_10", _CLOSE, 11, "price difference", "close - close 10 before", "TA-Lib MOM"),
    FeatureDefinition("roc_12", _CLOSE, 13, "fraction", "close / close 12 before - 1", "TA-Lib ROCP"),
    FeatureDefinition("atr_14", _BAR, 15, "price difference", "Wilder average of 14 true ranges", _WILDER),
    FeatureDefinition("williams_r", _BAR, 14, "index -100..0", "-100 (high14 - close) / (high14 - low14)", _LARRY),
    FeatureDefinition("stochastic_k", _BAR, 14, "index 0..100", "100 (close - low14) / (high14 - low14)", _LANE),
    FeatureDefinition("stochastic_d", _BAR, 16, "index 0..100", "mean of 3 stochastic_k", _LANE),
    FeatureDefinition("volume_sma", ("volume",), 20, "units", "mean of 20 volumes", "TA-Lib SMA"),
    FeatureDefinition(
        "vwap", (*_BAR, "volume"), 20, "price",
        "sum of typical price x volume over sum of volume, 20 bars; typical = (high + low + close) / 3", "rolling VWAP",
    ),
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(definition.name for definition in DEFINITIONS)
