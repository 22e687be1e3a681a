"""What is kept of one instrument: a year of daily closes, and the raw factors that follow from them."""

from __future__ import annotations

from math import log

import msgspec

from services.factor.definitions import (
    MOMENTUM,
    MONTH,
    QUARTER,
    REVERSAL,
    VOLATILITY_QUARTER,
    VOLATILITY_YEAR,
    WINDOW,
    YEAR,
)
from services.factor.exact import MovingDeviation

#: Prices beyond these magnitudes are data errors, and would overflow or underflow a ratio.
LARGEST_PRICE, SMALLEST_PRICE = 1e15, 1e-12


class History(msgspec.Struct):
    """Stored part of an instrument's past.

    Attributes:
        closes: Newest last, at most 253.
        returns: Log returns between them.
        last_ts: Timestamp of the newest price.
        last_close: The newest price, even one that emptied the window.
        synthetic_left: Prices for which a synthetic one still lies in the window; 0 = none does.
        source: Source of the newest price.
    """

    closes: list[float] = []
    returns: list[float] = []
    last_ts: int = -1
    last_close: float = 0.0
    synthetic_left: int = 0
    source: str = ""


class Track:
    """A history with its moving sums; the sums are derived and are rebuilt after a restart."""

    __slots__ = ("_quarter", "_year", "history")

    def __init__(self, history: History) -> None:
        self.history = history
        self._quarter = MovingDeviation(QUARTER, history.returns)
        self._year = MovingDeviation(YEAR, history.returns)

    def update(self, ts_event: int, close: float, is_synthetic: bool, source: str) -> None:
        """Take one daily close; a price that is not positive empties the window, as no return leads over it.

        Raises:
            ValueError: If ``close`` is not finite or absurd; nothing was changed then.
        """
        if not (SMALLEST_PRICE <= abs(close) <= LARGEST_PRICE or close == 0.0):
            raise ValueError(
                f"close must be finite and of magnitude 1e-12 to 1e15, was {close}; correct the source's data"
            )
        history = self.history
        history.last_ts, history.last_close, history.source = ts_event, close, source
        history.synthetic_left = WINDOW if is_synthetic else max(0, history.synthetic_left - 1)
        if close <= 0.0:
            history.closes, history.returns = [], []
            self._quarter, self._year = MovingDeviation(QUARTER), MovingDeviation(YEAR)
            return
        closes, returns = history.closes, history.returns
        if closes:
            returns.append(log(close / closes[-1]))
            self._quarter.push(returns)
            self._year.push(returns)
            if len(returns) > YEAR:
                del returns[0]
        closes.append(close)
        if len(closes) > WINDOW:
            del closes[0]

    def factors(self) -> dict[str, float]:
        """The raw factors there is enough history for; see ``definitions.py`` for the formulas."""
        closes = self.history.closes
        values: dict[str, float] = {}
        if len(closes) > MONTH:
            values[REVERSAL] = 1.0 - closes[-1] / closes[-1 - MONTH]
        if len(closes) > YEAR:
            values[MOMENTUM] = closes[-1 - MONTH] / closes[-1 - YEAR] - 1.0
        for factor_id, deviation in ((VOLATILITY_QUARTER, self._quarter), (VOLATILITY_YEAR, self._year)):
            volatility = deviation.volatility()
            if volatility is not None:
                values[factor_id] = volatility
        return values

    def reason(self, lookback: int) -> str:
        """Why a factor of this lookback has no value."""
        if not self.history.closes:
            return f"returns need positive prices; the newest close is {self.history.last_close:g}"
        return f"warm-up: {len(self.history.closes)} of {lookback}"
