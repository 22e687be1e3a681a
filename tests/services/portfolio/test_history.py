"""The equity curve: a point a day, bounded, thinned from the far end only."""

from __future__ import annotations

from decimal import Decimal

from services.portfolio.history import record_point
from services.portfolio.state import EquityPoint
from tests.services.portfolio.builders import DAY


def point(ts: int, equity: int = 0) -> EquityPoint:
    return EquityPoint(ts, Decimal(equity), Decimal(0), Decimal(0), Decimal(0))


def test_the_last_valuation_of_a_day_is_its_point() -> None:
    history: list[EquityPoint] = []
    for ts, equity in [(DAY, 1), (DAY + 5, 2), (2 * DAY - 1, 3), (2 * DAY, 4)]:
        record_point(history, point(ts, equity), 10)
    assert [(one.ts_event, one.equity) for one in history] == [(2 * DAY - 1, 3), (2 * DAY, 4)]


def test_the_older_half_is_thinned_when_it_grows_too_long() -> None:
    history: list[EquityPoint] = []
    for day in range(11):
        record_point(history, point(day * DAY), 10)
    assert [one.ts_event // DAY for one in history] == [0, 2, 4, 5, 6, 7, 8, 9, 10]
    for day in range(11, 10_000):
        record_point(history, point(day * DAY), 10)
        assert len(history) <= 10
    days = [one.ts_event // DAY for one in history]
    assert days == sorted(set(days))
    assert days[0] == 0, "the beginning stays"
    assert days[-5:] == list(range(9995, 10_000)), "the recent past stays daily"


def test_thirty_three_years_of_days_stay_whole() -> None:
    history: list[EquityPoint] = []
    for day in range(8_320):
        record_point(history, point(day * DAY), 10_000)
    assert len(history) == 8_320
