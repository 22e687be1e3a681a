"""The paper venue: every order type against every kind of price, by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.contracts.orders import ExecutionReported, OrderCancelRequested
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness
from services.strategy.gate import shown
from tests.services.strategy.builders import SYMBOL, bar, close, day, instrument, paper_harness, quote, submitted

ORDER = "strategy-00000001"


def reports(harness: EngineHarness, kind: str = "filled") -> list[ExecutionReported]:
    return [one for one in harness.of_type(ExecutionReported) if one.report == kind]


def fills(harness: EngineHarness) -> list[tuple[str, str]]:
    """Quantity and price of each execution, without trailing zeros."""
    return [(shown(one.last_quantity), shown(one.last_price)) for one in reports(harness)]


#: A bar of day 2 that opens at 100, falls to 95, rises to 106 and closes at 102.
BAR = bar(100.0, 106.0, 95.0, 102.0, 10_000, day(2))
CLOSE = close(102.0, day(2))
QUOTE = quote(99.0, 101.0, day(2), size=1_000)


@pytest.mark.parametrize(
    ("order", "price", "expected"),
    [
        # market: the open, the close, the far side of the quote
        ({}, BAR, "100"),
        ({"side": "sell"}, BAR, "100"),
        ({}, CLOSE, "102"),
        ({}, QUOTE, "101"),
        ({"side": "sell"}, QUOTE, "99"),
        # limit on a bar: better open, traded through, touched, not reached
        ({"order_type": "limit", "limit": "101"}, BAR, "100"),
        ({"order_type": "limit", "limit": "100"}, BAR, "100"),
        ({"order_type": "limit", "limit": "96"}, BAR, "96"),
        ({"order_type": "limit", "limit": "95"}, BAR, None),
        ({"order_type": "limit", "limit": "94"}, BAR, None),
        ({"side": "sell", "order_type": "limit", "limit": "99"}, BAR, "100"),
        ({"side": "sell", "order_type": "limit", "limit": "105"}, BAR, "105"),
        ({"side": "sell", "order_type": "limit", "limit": "106"}, BAR, None),
        # limit on a close: marketable when it came (the last price is 100) at the close, resting at its limit
        ({"order_type": "limit", "limit": "103"}, CLOSE, "102"),
        ({"order_type": "limit", "limit": "101"}, CLOSE, None),
        ({"side": "sell", "order_type": "limit", "limit": "98"}, CLOSE, "102"),
        ({"side": "sell", "order_type": "limit", "limit": "101"}, CLOSE, "101"),
        ({"side": "sell", "order_type": "limit", "limit": "102"}, CLOSE, "102"),
        ({"side": "sell", "order_type": "limit", "limit": "103"}, CLOSE, None),
        # limit on a quote
        ({"order_type": "limit", "limit": "103"}, QUOTE, "101"),
        ({"order_type": "limit", "limit": "100"}, QUOTE, None),
        ({"side": "sell", "order_type": "limit", "limit": "99"}, QUOTE, "99"),
        # stop on a bar: beyond it at the open, reached inside, not reached
        ({"order_type": "stop", "stop": "98"}, BAR, "100"),
        ({"order_type": "stop", "stop": "104"}, BAR, "104"),
        ({"order_type": "stop", "stop": "106"}, BAR, "106"),
        ({"order_type": "stop", "stop": "107"}, BAR, None),
        ({"side": "sell", "order_type": "stop", "stop": "97"}, BAR, "97"),
        ({"side": "sell", "order_type": "stop", "stop": "103"}, BAR, "100"),
        ({"side": "sell", "order_type": "stop", "stop": "94"}, BAR, None),
        # stop on a close and on a quote: the only price known
        ({"order_type": "stop", "stop": "101"}, CLOSE, "102"),
        ({"order_type": "stop", "stop": "102"}, CLOSE, "102"),
        ({"order_type": "stop", "stop": "103"}, CLOSE, None),
        ({"order_type": "stop", "stop": "101"}, QUOTE, "101"),
        ({"side": "sell", "order_type": "stop", "stop": "99"}, QUOTE, "99"),
        # stop-limit: triggered inside with room, at the open with and without room
        ({"order_type": "stop_limit", "stop": "104", "limit": "105"}, BAR, "104"),
        ({"order_type": "stop_limit", "stop": "99", "limit": "101"}, BAR, "100"),
        ({"order_type": "stop_limit", "stop": "99", "limit": "97"}, BAR, "97"),
        ({"order_type": "stop_limit", "stop": "104", "limit": "103"}, BAR, None),
        ({"side": "sell", "order_type": "stop_limit", "stop": "97", "limit": "96"}, BAR, "97"),
        ({"order_type": "stop_limit", "stop": "101", "limit": "101.50"}, CLOSE, None),
        ({"order_type": "stop_limit", "stop": "101", "limit": "102.50"}, CLOSE, "102"),
    ],
)  # fmt: skip
def test_where_an_order_fills(order: dict[str, Any], price: Event, expected: str | None) -> None:
    harness = paper_harness()
    harness.send(submitted(ts=day(1), **order))
    harness.send(price)
    assert fills(harness) == ([] if expected is None else [("100", expected)])


def test_an_order_never_fills_on_the_price_it_was_decided_on() -> None:
    harness = paper_harness()
    harness.send(submitted(ts=day(1)), close(100.0, day(1)), bar(99.0, 101.0, 98.0, 100.0, 1e6, day(1)))
    assert fills(harness) == []
    accepted = reports(harness, "accepted")[0]
    assert (accepted.ts_event, accepted.venue_order_id, accepted.leaves_quantity) == (day(1), "paper-O00000001", 100)
    harness.send(close(101.0, day(2)))
    assert fills(harness) == [("100", "101")]


def test_a_triggered_stop_stays_triggered() -> None:
    harness = paper_harness()
    harness.send(submitted(order_type="stop_limit", stop="104", limit="103", tif="gtc", ts=day(1)), BAR)
    harness.send(bar(105.0, 105.0, 104.0, 104.5, 10_000, day(3)))
    assert fills(harness) == []  # the limit is below everything
    harness.send(bar(101.0, 102.0, 100.0, 101.0, 10_000, day(4)))
    assert fills(harness) == [("100", "101")]  # below the stop, and yet it is a limit now; the open is better


def test_a_resting_limit_trades_at_its_own_price_once_a_close_passes_it() -> None:
    harness = paper_harness()
    harness.send(submitted(order_type="limit", limit="98", tif="gtc", ts=day(1)), close(99.0, day(2)))
    harness.send(close(90.0, day(3)))
    assert fills(harness) == [("100", "98")]


def test_all_orders_share_a_tenth_of_the_volume_in_the_order_they_came() -> None:
    harness = paper_harness()
    for number, quantity in enumerate(("60", "60", "10"), 1):
        harness.send(submitted(quantity=quantity, ts=day(1), order_id=f"o{number}", tif="gtc"))
    harness.send(bar(100.0, 100.0, 100.0, 100.0, 1_009, day(2)))  # a tenth is 100.9: whole shares only
    assert [(one.client_order_id, one.last_quantity, one.leaves_quantity) for one in reports(harness)] == [
        ("o1", 60, 0),
        ("o2", 40, 20),
    ]
    harness.send(bar(101.0, 101.0, 101.0, 101.0, 0, day(3)))
    assert len(reports(harness)) == 2  # nobody traded
    harness.send(bar(102.0, 102.0, 102.0, 102.0, 1_000, day(4)))
    last = [(one.client_order_id, one.last_quantity, one.cumulative_quantity) for one in reports(harness)[2:]]
    assert last == [("o2", 20, 60), ("o3", 10, 10)]
    assert harness.engine.status()["orders_working"] == 0


def test_a_quote_fills_what_it_shows_and_a_close_fills_whole() -> None:
    harness = paper_harness()
    harness.send(submitted(quantity="150", ts=day(1), tif="gtc"), quote(99.0, 101.0, day(2), size=40))
    assert fills(harness) == [("40", "101")]
    harness.send(quote(99.0, 101.5, day(2) + 1, size=0.0))  # a source that knows no sizes
    assert fills(harness) == [("40", "101"), ("110", "101.5")]
    assert [one.reference_price for one in reports(harness)] == [Decimal(100), Decimal("100.25")]
    harness.send(submitted(quantity="1000000", ts=day(2) + 1, order_id="o2"), close(100.0, day(3), interval="1s"))
    assert len(fills(harness)) == 2  # a price coarser than the quotes fills nothing
    other = paper_harness()
    other.send(submitted(quantity="1000000", ts=day(1)), close(100.0, day(2)))
    assert fills(other) == [("1000000", "100")]


@pytest.mark.parametrize(
    ("tif", "volume", "executed", "end"),
    [
        ("day", 500, "50", None), ("gtc", 500, "50", None), ("ioc", 500, "50", "cancelled"),
        ("fok", 500, None, "cancelled"),
        ("fok", 1_000, "100", None), ("ioc", 1_000, "100", None), ("ioc", 0, None, "cancelled"),
    ],
)  # fmt: skip
def test_immediate_orders_take_what_there_is_at_once(
    tif: str, volume: int, executed: str | None, end: str | None
) -> None:
    harness = paper_harness()
    harness.send(submitted(tif=tif, ts=day(1)), bar(100.0, 100.0, 100.0, 100.0, volume, day(2)))
    assert fills(harness) == ([] if executed is None else [(executed, "100")])
    assert [one.report for one in harness.of_type(ExecutionReported) if one.report not in ("accepted", "filled")] == (
        [] if end is None else [end]
    )


def test_an_immediate_limit_that_is_away_is_cancelled() -> None:
    harness = paper_harness()
    harness.send(submitted(tif="ioc", order_type="limit", limit="90", ts=day(1)), CLOSE)
    cancelled = reports(harness, "cancelled")[0]
    assert (cancelled.reason, cancelled.leaves_quantity) == ("ioc: not wholly filled at once", 0)


def test_a_cancel_works_until_the_order_is_over() -> None:
    harness = paper_harness()
    harness.send(submitted(quantity="150", ts=day(1), tif="gtc"), quote(99.0, 101.0, day(2), size=40))
    cancel = OrderCancelRequested(day(2), ORDER, "manual", SYMBOL, "paper", "changed my mind")
    harness.send(cancel, cancel)
    ended = reports(harness, "cancelled")[0]
    assert (ended.cumulative_quantity, ended.leaves_quantity, ended.reason) == (40, 0, "changed my mind")
    assert [one.client_order_id for one in reports(harness, "cancel_rejected")] == [ORDER]
    harness.send(CLOSE, close(103.0, day(3)))
    assert len(fills(harness)) == 1


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"symbol": "BBB.X"}, "instrument must be defined, was BBB.X"),
        ({"symbol": "IDX.X"}, "instrument must be tradable, was IDX.X"),
        ({"quantity": "1.5"}, "quantity must be a positive multiple of 1, was 1.5"),
        ({"quantity": "-1"}, "quantity must be a positive multiple of 1, was -1"),
        ({"quantity": "NaN"}, "quantity must be a positive multiple of 1, was NaN"),
        ({"order_type": "limit"}, "limit_price of a limit order must be given, was None"),
        ({"stop": "100"}, "stop_price of a market order must be absent, was 100"),
        ({"order_type": "limit", "limit": "100.001"}, "limit_price must be a positive multiple of 0.01, was 100.001"),
    ],
)
def test_what_the_venue_cannot_work_is_rejected(order: dict[str, Any], reason: str) -> None:
    harness = paper_harness()
    harness.send(instrument("IDX.X", is_tradable=False), submitted(ts=day(1), **order))
    assert [(one.report, one.reason) for one in harness.of_type(ExecutionReported)] == [("rejected", reason)]
    assert harness.engine.status()["orders_working"] == 0


def test_an_order_sent_again_is_recognised_and_another_venues_is_left_alone() -> None:
    harness = paper_harness()
    harness.send(submitted(ts=day(1)), submitted(ts=day(1)), submitted(ts=day(1), order_id="x", venue="other"))
    harness.send(CLOSE, submitted(ts=day(2)), close(103.0, day(3)))
    assert [one.report for one in harness.of_type(ExecutionReported)] == ["accepted", "filled"]
    assert harness.engine.status()["orders_resent"] == 2


def test_prices_that_cannot_be_fill_nothing() -> None:
    harness = paper_harness()
    nan = float("nan")
    harness.send(submitted(ts=day(1), tif="gtc"))
    harness.send(bar(100, 90, 95, 100, 1, day(2)), bar(nan, nan, nan, nan, 1, day(2)), bar(1, 1, 1, 1, nan, day(2)))
    harness.send(bar(1, 1, 1, 1, -5, day(2)), close(nan, day(2)), close(0.0, day(2)), quote(2.0, 1.0, day(2)))
    assert fills(harness) == []
    assert harness.engine.status()["prices_refused"] == 7
