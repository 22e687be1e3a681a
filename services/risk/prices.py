"""Daily closes of every symbol, aligned by day, in bounded memory.

Joining closes first and taking returns afterwards makes the returns of all symbols span the same days: a symbol
that did not trade on a holiday has no return of two days beside another's two returns of one day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.risk.state import PriceSeries, PriceTableState

Floats: TypeAlias = NDArray[np.float64]

#: Length of a day; days are UTC.
DAY_NS = 86_400 * 1_000_000_000
_FIRST_ROWS = 16


class PriceTable:
    """One row a symbol, one column a day, NaN where a symbol has no close.

    The arrays are twice as wide as the days kept, so that appending a day moves memory once in ``capacity`` days only.

    Args:
        capacity: Days kept: those on which any symbol has a close, weekends of other markets included.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._width = 2 * capacity
        self._days = np.zeros(self._width, np.int64)
        self._closes = np.full((_FIRST_ROWS, self._width), np.nan)
        self._start = self._end = 0
        self._newest_day = -1  # of the last column, as an int: reading it from the array costs more than the rest
        self._series: dict[str, PriceSeries] = {}

    def record(self, symbol: str, ts_event: int, price: float, *, is_final: bool, is_synthetic: bool) -> None:
        """Take a price.

        Args:
            symbol: Of an instrument.
            ts_event: UNIX nanoseconds; its UTC day is the day of the price.
            price: The last one of a day wins; one that is not positive has no return and leaves the day empty.
            is_final: Whether it is the close of its day (a daily bar). Other prices become one when a later day begins.
            is_synthetic: Whether nothing real stands behind it.
        """
        day = ts_event // DAY_NS
        series = self._series.get(symbol) or self._new_series(symbol)
        series.is_synthetic |= is_synthetic
        if 0 <= series.open_day < day:
            self._store(series, series.open_day, series.open_price)
            series.open_day = -1
        if is_final:
            self._store(series, day, price)
            if series.open_day <= day:
                series.open_day = -1
        elif day > series.final_day and day >= series.open_day:
            series.open_day, series.open_price = day, price

    def is_synthetic(self, symbol: str) -> bool:
        """Whether any price of ``symbol`` was synthetic."""
        series = self._series.get(symbol)
        return series is not None and series.is_synthetic

    def days_of(self, symbol: str) -> int:
        """Closes kept of ``symbol``."""
        series = self._series.get(symbol)
        if series is None:
            return 0
        return int(np.count_nonzero(~np.isnan(self._closes[series.row, self._start : self._end])))

    def joint_returns(self, symbols: Sequence[str], window: int) -> Floats:
        """Simple daily returns between consecutive days on which all of ``symbols`` have a close.

        Returns:
            Shape ``(len(symbols), observations)``, at most the newest ``window`` observations, oldest first; no
            observations when a symbol has no closes.
        """
        known = [self._series.get(symbol) for symbol in symbols]
        rows = [series.row for series in known if series is not None]
        if not rows or len(rows) < len(known):
            return np.empty((len(symbols), 0))
        closes = self._closes[rows, self._start : self._end]
        joint = closes[:, ~np.isnan(closes).any(axis=0)][:, -(window + 1) :]
        returns: Floats = joint[:, 1:] / joint[:, :-1] - 1.0
        return returns

    # -- storing ----------------------------------------------------------------------------------

    def _new_series(self, symbol: str) -> PriceSeries:
        row = len(self._series)
        if row == len(self._closes):
            self._closes = np.vstack([self._closes, np.full_like(self._closes, np.nan)])
        series = self._series[symbol] = PriceSeries(row)
        return series

    def _store(self, series: PriceSeries, day: int, price: float) -> None:
        series.final_day = max(series.final_day, day)
        column = self._column(day)
        if column is not None:
            self._closes[series.row, column] = price if price > 0.0 else np.nan

    def _column(self, day: int) -> int | None:
        """The column of ``day``, made where there is none; None for a day older than all that is kept."""
        if day == self._newest_day:
            return self._end - 1
        place = self._start + int(np.searchsorted(self._days[self._start : self._end], day))
        if place < self._end and self._days[place] == day:
            return place
        if self._end - self._start == self._capacity:
            if place == self._start:
                return None
            self._start += 1
        if self._end == self._width:
            place -= self._start
            self._compact()
        self._days[place + 1 : self._end + 1] = self._days[place : self._end]
        self._closes[:, place + 1 : self._end + 1] = self._closes[:, place : self._end]
        self._days[place] = day
        self._closes[:, place] = np.nan
        self._end += 1
        self._newest_day = max(self._newest_day, day)
        return place

    def _compact(self) -> None:
        count = self._end - self._start
        self._days[:count] = self._days[self._start : self._end].copy()
        self._closes[:, :count] = self._closes[:, self._start : self._end].copy()
        self._closes[:, count:] = np.nan
        self._start, self._end = 0, count

    # -- snapshots --------------------------------------------------------------------------------

    def state(self) -> PriceTableState:
        """The table as plain data."""
        days, closes = self._days[self._start : self._end], self._closes[: len(self._series), self._start : self._end]
        return PriceTableState(days.tolist(), closes.tolist(), self._series)

    def restore(self, state: PriceTableState) -> None:
        """Continue from what :meth:`state` returned."""
        count, rows = len(state.days), _FIRST_ROWS
        while rows < len(state.series):
            rows *= 2
        self._days = np.zeros(self._width, np.int64)
        self._closes = np.full((rows, self._width), np.nan)
        kept = min(count, self._capacity)
        self._days[:kept] = state.days[count - kept :]
        if state.closes:
            self._closes[: len(state.closes), :kept] = np.array(state.closes)[:, count - kept :]
        self._start, self._end = 0, kept
        self._newest_day = state.days[-1] if state.days else -1
        self._series = state.series
