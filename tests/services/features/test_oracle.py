"""Every indicator against TA-Lib over 8,400 bars; what TA-Lib lacks, against numpy's closed form.

TA-Lib is the oracle because its C code is the reference implementation and shares no line with ours.

Tolerance 1e-12, of the price for prices and of the value (at least 1) for the rest: both sides compute in double
precision (eps 2.2e-16), but TA-Lib keeps running sums, which collect the roundings of 8,400 bars (1e-12 at worst,
measured 5e-13). It also takes the variance as E[x^2] - E[x]^2; with deviations of 4 % of the mean that costs three more
digits, hence 1e-10 for the bands.
"""

from __future__ import annotations

import numpy as np
import pytest
import talib

from services.features.definitions import DEFINITIONS, NAMES
from services.features.series import Series
from tests.services.features.prices import Bars, Floats, walk


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk()


@pytest.fixture(scope="module")
def ours(bars: Bars) -> dict[str, Floats]:
    series = Series.fresh("1d")
    columns: dict[str, Floats] = {name: np.full(len(bars.close), np.nan) for name in NAMES}
    rows = zip(bars.close.tolist(), bars.high.tolist(), bars.low.tolist(), bars.volume.tolist(), strict=True)
    for index, (close, high, low, volume) in enumerate(rows):
        values, missing = series.update(index, close, high, low, volume)
        assert sorted([*values, *missing]) == sorted(NAMES)
        for name, value in values.items():
            columns[name][index] = value
    return columns


def theirs(name: str, bars: Bars) -> Floats:
    close, high, low = bars.close, bars.high, bars.low
    match name:
        case "sma_20" | "bollinger_middle_20":
            return talib.SMA(close, 20)
        case "ema_20":
            return talib.EMA(close, 20)
        case "rsi_14":
            return talib.RSI(close, 14)
        case "macd" | "macd_signal" | "macd_histogram":
            return talib.MACD(close, 12, 26, 9)[("macd", "macd_signal", "macd_histogram").index(name)]
        case "atr_14":
            return talib.ATR(high, low, close, 14)
        case "momentum_10":
            return talib.MOM(close, 10)
        case "roc_12":
            return talib.ROCP(close, 12)
        case "williams_r":
            return talib.WILLR(high, low, close, 14)
        case "stochastic_k":
            # TA-Lib hides the first %K values behind the warm-up of %D; with a smoothing of 1 it shows them all.
            return talib.STOCHF(high, low, close, 14, 1)[0]
        case "stochastic_d":
            return talib.STOCHF(high, low, close, 14, 3)[1]
        case _:
            return talib.SMA(bars.volume, 20)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("realized_vol", "vwap")])
def test_an_indicator_is_talibs(name: str, bars: Bars, ours: dict[str, Floats]) -> None:
    if name in ("bollinger_upper_20", "bollinger_lower_20"):
        upper, _, lower = talib.BBANDS(bars.close, 20, 2.0, 2.0)
        expected = upper if name == "bollinger_upper_20" else lower
        tolerance = 1e-10
    else:
        expected, tolerance = theirs(name, bars), 1e-12
    known = ~np.isnan(expected)
    if name == "macd":
        assert np.isnan(ours[name][:25]).all()  # ours begins at bar 26, TA-Lib shows it from bar 34 on
    else:
        assert (np.isnan(ours[name]) == ~known).all(), "warm-up differs"
    is_price = next(one for one in DEFINITIONS if one.name == name).unit.startswith("price")
    scale = bars.close[known] if is_price else np.maximum(np.abs(expected[known]), 1.0)
    assert np.max(np.abs(ours[name][known] - expected[known]) / scale) < tolerance


def test_the_first_macd_values_are_the_difference_of_the_two_averages(bars: Bars, ours: dict[str, Floats]) -> None:
    close = bars.close
    fast, slow = float(np.mean(close[14:26])), float(np.mean(close[:26]))
    for bar in range(25, 33):
        if bar > 25:
            fast, slow = fast + (close[bar] - fast) * 2 / 13, slow + (close[bar] - slow) * 2 / 27
        assert ours["macd"][bar] == pytest.approx(fast - slow, rel=1e-12, abs=1e-15)


def test_realized_volatility_is_the_closed_form(bars: Bars, ours: dict[str, Floats]) -> None:
    returns = np.diff(np.log(bars.close))
    windows = np.lib.stride_tricks.sliding_window_view(returns, 20)
    expected = windows.std(axis=1, ddof=1) * np.sqrt(252)
    assert np.isnan(ours["realized_vol"][:20]).all()
    # 1e-10: the log of a ratio and the difference of two logs differ by eps, against returns of about 1e-2.
    np.testing.assert_allclose(ours["realized_vol"][20:], expected, rtol=1e-10)


def test_vwap_is_the_closed_form(bars: Bars, ours: dict[str, Floats]) -> None:
    typical = (bars.high + bars.low + bars.close) / 3
    weighted = np.lib.stride_tricks.sliding_window_view(typical * bars.volume, 20).sum(axis=1)
    expected = weighted / np.lib.stride_tricks.sliding_window_view(bars.volume, 20).sum(axis=1)
    assert np.isnan(ours["vwap"][:19]).all()
    np.testing.assert_allclose(ours["vwap"][19:], expected, rtol=1e-13)
