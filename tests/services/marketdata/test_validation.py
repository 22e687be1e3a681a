"""Numbers of a record, whatever brings it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.market import BarClosed, CloseReceived, QuoteReceived, TradeReceived
from services.marketdata.validation import OrderCheck, check_bar, check_quote, check_record, check_trade, is_symbol

INF, NAN = math.inf, math.nan
ANY = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ((NAN, 2, 1, 1.5, 0), "open", "must be a finite price above 0, was nan"),
        ((1.5, INF, 1, 1.5, 0), "high", "was inf"),
        ((1.5, 2, -1.0, 1.5, 0), "low", "must be a finite price above 0, was -1.0"),
        ((1.5, 2, 1, 0.0, 0), "close", "was 0.0"),
        ((1.5, 1, 2, 1.5, 0), "high", "must not be below the low 2"),
        ((2.5, 2, 1, 1.5, 0), "open", "must lie between the low 1 and the high 2, was 2.5"),
        ((1.5, 2, 1, 0.5, 0), "close", "must lie between the low 1 and the high 2, was 0.5"),
        ((1.5, 2, 1, 1.5, -1.0), "volume", "must be finite and not negative, was -1.0"),
        ((1.5, 2, 1, 1.5, NAN), "volume", "was nan"),
    ],
)
def test_a_bar_that_cannot_be_is_named(values: tuple[float, ...], field: str, text: str) -> None:
    problem = check_bar(*values)
    assert problem is not None
    assert problem.field == field
    assert text in str(problem)
    assert str(problem).endswith("correct or remove the row")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ((0.0, 1, 1, 1), "bid"),
        ((1, NAN, 1, 1), "ask"),
        ((2.0, 1.0, 1, 1), "bid"),
        ((1, 2, -1, 1), "bid_size"),
        ((1, 2, 1, INF), "ask_size"),
    ],
)
def test_a_quote_that_cannot_be_is_named(values: tuple[float, ...], field: str) -> None:
    problem = check_quote(*values)
    assert problem is not None
    assert problem.field == field


@pytest.mark.parametrize(("price", "size", "field"), [(-1.0, 1, "price"), (1, 0.0, "size"), (1, NAN, "size")])
def test_a_trade_that_cannot_be_is_named(price: float, size: float, field: str) -> None:
    problem = check_trade(price, size)
    assert problem is not None
    assert problem.field == field


@given(ANY, ANY, ANY, ANY, ANY)
def test_a_bar_passes_exactly_when_its_definition_holds(o: float, h: float, low: float, c: float, v: float) -> None:
    # The oracle is the definition, spelled out value by value.
    prices_are = all(math.isfinite(price) and price > 0 for price in (o, h, low, c))
    possible = prices_are and low <= min(o, c) and max(o, c) <= h and math.isfinite(v) and v >= 0
    assert (check_bar(o, h, low, c, v) is None) == possible


@given(ANY, ANY, ANY, ANY)
def test_a_quote_passes_exactly_when_its_definition_holds(bid: float, ask: float, b: float, a: float) -> None:
    possible = (
        math.isfinite(bid)
        and math.isfinite(ask)
        and 0 < bid <= ask
        and all(math.isfinite(x) and x >= 0 for x in (b, a))
    )
    assert (check_quote(bid, ask, b, a) is None) == possible


def test_each_kind_of_record_is_checked_by_its_own_rule() -> None:
    assert check_record(CloseReceived(1, "A.X", "1d", 1.0, "s")) is None
    assert str(check_record(CloseReceived(1, "A.X", "1d", NAN, "s"))).startswith("close must be a finite price")
    assert str(check_record(BarClosed(1, "A.X", "1d", 1, 1, 1, 1, -1, "s"))).startswith("volume")
    assert str(check_record(QuoteReceived(1, "A.X", 2, 1, 1, 1, "s"))).startswith("bid must not be above the ask 1")
    assert str(check_record(TradeReceived(1, "A.X", 1, -1, "buy", "s"))).startswith("size")


def test_order_is_checked_by_time_and_key() -> None:
    order = OrderCheck()
    assert not order.is_unsorted(5)
    assert not order.is_duplicate("A")
    assert order.is_duplicate("A")
    assert not order.is_duplicate("B")
    assert not order.is_unsorted(6)
    assert not order.is_duplicate("A")
    assert order.is_unsorted(5)


@pytest.mark.parametrize("symbol", ["A.XNAS", "BRK.B.XNYS", "BTC/USDT.BINANCE", "6EH4.XCME"])
def test_symbols_have_a_venue(symbol: str) -> None:
    assert is_symbol(symbol)


@pytest.mark.parametrize("symbol", ["", "A", "A.", ".XNAS", "A.xnas", "A B.XNAS", "A\n.XNAS", "A.X-Y", "A" * 70 + ".X"])
def test_what_is_no_symbol_is_refused(symbol: str) -> None:
    assert not is_symbol(symbol)
