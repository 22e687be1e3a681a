"""What the model sees: features of one instrument made comparable over time and across instruments.

A price level says nothing about another year or another stock, so prices become ratios to the close; no input of a
timestamp knows anything later than that timestamp's close.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Names of the inputs, in the order of every vector.
INPUTS: tuple[str, ...] = (
    "close_to_sma_20",
    "close_to_ema_20",
    "rsi_14",
    "macd_to_close",
    "macd_histogram_to_close",
    "bollinger_position_20",
    "realized_vol",
    "return_10",
    "return_12",
)

#: Features an input vector is made of; all of them exist for close-only prices.
NEEDED: tuple[str, ...] = (
    "sma_20",
    "ema_20",
    "rsi_14",
    "macd",
    "macd_histogram",
    "bollinger_upper_20",
    "bollinger_lower_20",
    "realized_vol",
    "momentum_10",
    "roc_12",
)


def input_vector(values: Mapping[str, float], close: float) -> list[float]:
    """The inputs of one instrument at one timestamp, in the order of ``INPUTS``.

    Raises:
        ValueError: If one cannot be computed; the text is the reason.
    """
    absent = [name for name in NEEDED if name not in values]
    if absent:
        raise ValueError(f"feature {absent[0]} is missing")
    average, exponential, before = values["sma_20"], values["ema_20"], close - values["momentum_10"]
    if close <= 0.0 or average <= 0.0 or exponential <= 0.0 or before <= 0.0:
        raise ValueError(f"ratios need positive prices, the close is {close:g}")
    upper, lower = values["bollinger_upper_20"], values["bollinger_lower_20"]
    if upper <= lower:
        raise ValueError("the price has not moved for 20 days, so it has no place between its bands")
    return [
        close / average - 1.0,
        close / exponential - 1.0,
        values["rsi_14"] / 100.0 - 0.5,
        values["macd"] / close,
        values["macd_histogram"] / close,
        (close - average) / (upper - lower),
        values["realized_vol"],
        close / before - 1.0,
        values["roc_12"],
    ]
