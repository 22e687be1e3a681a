"""When a day order is over, and which part of a bar an order may see."""

from __future__ import annotations

import pytest

from libs.contracts.orders import ExecutionReported
from libs.testing.engine_harness import EngineHarness
from services.strategy.paper.sessions import DAY_NS, interval_ns, session_of, was_open
from tests.services.strategy.builders import MINUTE, bar, close, day, instrument, paper_harness, submitted

HOUR = 60 * MINUTE


def ends(harness: EngineHarness) -> list[tuple[str, int]]:
    return [
        (one.report, one.ts_event)
        for one in harness.of_type(ExecutionReported)
        if one.report not in ("accepted", "filled")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1d", DAY_NS), ("1m", MINUTE), ("5min", 5 * MINUTE), ("1h", HOUR), ("30s", MINUTE // 2), ("2w", 14 * DAY_NS),
     ("tick", DAY_NS), ("", DAY_NS)],
)  # fmt: skip
def test_intervals(text: str, expected: int) -> None:
    assert interval_ns(text) == expected


@pytest.mark.parametrize(
    ("accepted", "bar_end", "length", "expected"),
    [
        (day(1), day(2), DAY_NS, True), (day(2) - 1, day(2), DAY_NS, True), (day(2), day(2) + HOUR, DAY_NS, False),
        (day(1), day(1) + MINUTE, MINUTE, True), (day(1) + 1, day(1) + MINUTE, MINUTE, False),
    ],
)  # fmt: skip
def test_an_order_that_came_inside_a_bar_was_not_there_at_its_open(
    accepted: int, bar_end: int, length: int, expected: bool
) -> None:
    assert was_open(accepted, bar_end, length) is expected


def test_an_order_that_came_inside_a_bar_sees_its_close_only() -> None:
    harness = paper_harness()
    harness.send(submitted(ts=day(2) + HOUR, tif="gtc", order_type="limit", limit="96"))
    harness.send(submitted(ts=day(2) + HOUR, tif="gtc", order_id="o2"))
    harness.send(bar(90.0, 110.0, 80.0, 105.0, 10_000, day(2) + 20 * HOUR))
    filled = [one for one in harness.of_type(ExecutionReported) if one.report == "filled"]
    assert [(one.client_order_id, one.last_price) for one in filled] == [("o2", 105)]


def test_a_day_order_lives_for_the_next_daily_price() -> None:
    harness = paper_harness()
    harness.send(submitted(order_type="limit", limit="90", ts=day(1)))
    harness.send(submitted(order_type="limit", limit="90", ts=day(1), order_id="o2", tif="gtc"))
    harness.close_step(day(1))
    assert ends(harness) == []
    harness.send(close(95.0, day(2)))
    harness.close_step(day(2))
    assert ends(harness) == [("expired", day(2))]
    assert harness.engine.status()["orders_working"] == 1


def test_the_rest_of_a_partly_filled_day_order_expires() -> None:
    harness = paper_harness()
    harness.send(submitted(ts=day(1)), bar(100.0, 100.0, 100.0, 100.0, 400, day(2)))
    harness.close_step(day(2))
    expired = harness.of_type(ExecutionReported)[-1]
    assert (expired.report, expired.cumulative_quantity, expired.leaves_quantity) == ("expired", 40, 0)


def test_a_day_without_a_price_ends_too() -> None:
    harness = paper_harness()
    harness.send(instrument("BBB.X"), submitted(ts=day(1)), submitted(ts=day(1), order_id="o2", tif="ioc"))
    harness.send(close(5.0, day(2), "BBB.X"))
    harness.close_step(day(2))
    assert ends(harness) == []  # the day may still bring a price
    harness.send(close(101.0, day(3)))
    assert ends(harness) == [("expired", day(3))] * 2
    assert not [one for one in harness.of_type(ExecutionReported) if one.report == "filled"]


def test_a_step_of_another_instrument_does_not_end_a_daily_order() -> None:
    # Crypto closes every minute beside a stock that closes daily: the stock's order must live to its own next price.
    harness = paper_harness()
    harness.send(submitted(ts=day(1)))
    for minute in range(1, 4):
        harness.send(close(5.0, day(1) + minute * MINUTE, "BTC.X", "1m"))
        harness.close_step(day(1) + minute * MINUTE)
    assert ends(harness) == []
    harness.send(close(101.0, day(2)))
    assert harness.of_type(ExecutionReported)[-1].report == "filled"


def test_with_intraday_prices_the_day_is_the_calendar_day() -> None:
    harness = paper_harness()
    harness.send(close(100.0, day(3), interval="1m"), submitted(order_type="limit", limit="90", ts=day(3)))
    for ts in (day(3) + MINUTE, day(3) + 20 * HOUR):
        harness.send(close(100.0, ts, interval="1m"))
        harness.close_step(ts)
    assert ends(harness) == []
    harness.send(close(80.0, day(4), interval="1m"))
    assert ends(harness) == [("expired", day(4))]


@pytest.mark.parametrize(
    ("accepted", "now", "length", "expected"),
    [(day(1), day(1), DAY_NS, -1), (day(1), day(1) + HOUR, DAY_NS, -1), (day(1), day(2), DAY_NS, 18_264),
     (day(1), day(1) + HOUR, MINUTE, 18_263)],
)  # fmt: skip
def test_the_day_of_an_order(accepted: int, now: int, length: int, expected: int) -> None:
    assert session_of(accepted, now, length) == expected


def test_bars_coarser_than_the_finest_prices_fill_nothing() -> None:
    harness = paper_harness()
    harness.send(close(100.0, day(3), interval="1m"), submitted(ts=day(3), tif="gtc"))
    harness.send(bar(50.0, 100.0, 50.0, 100.0, 1_000_000, day(4)))
    assert [one.report for one in harness.of_type(ExecutionReported)] == ["accepted"]
