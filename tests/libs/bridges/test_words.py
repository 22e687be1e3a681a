"""Messages of NautilusTrader decoded, and our market data in its words: values, bounds, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.bridges.nautilus_trader.errors import BridgeError, PayloadError, UnmappedError
from libs.bridges.nautilus_trader.market import bar_of, instrument_of, quote_of, trade_of
from libs.bridges.nautilus_trader.wire import (
    decode_entry,
    encode_entry,
    money,
    timestamp,
)
from libs.bridges.nautilus_trader.words import Digits, words_for_bar, words_for_quote, words_for_trade
from libs.contracts.market import BarClosed, QuoteReceived, TradeReceived

T = 1_700_000_000_000_000_001
SYMBOL = "AUD/USD.SIM"
PRICES = st.integers(1, 10**12).map(lambda number: number / 10**5)
SIZES = st.integers(0, 10**9).map(float)


def fields_of(words: Any, encoding: Any = "json") -> dict[bytes, bytes]:
    flat = encode_entry(*words, encoding)
    return dict(zip(flat[::2], flat[1::2], strict=True))


@given(bid=PRICES, ask=PRICES, sizes=st.tuples(SIZES, SIZES), encoding=st.sampled_from(["json", "msgpack"]))
def test_a_quote_survives_both_ways(bid: float, ask: float, sizes: tuple[float, float], encoding: str) -> None:
    event = QuoteReceived(T, SYMBOL, bid, ask, *sizes, "feed")
    message = decode_entry(fields_of(words_for_quote(event, T), encoding))
    assert (message.topic, message.kind) == ("data.quotes.SIM.AUD/USD", "QuoteTick")
    assert quote_of(message.body, "feed", False) == event
    assert {len(message.body[name].partition(".")[2]) for name in ("bid_price", "ask_price")} <= set(range(6))
    assert len({len(message.body[name].partition(".")[2]) for name in ("bid_price", "ask_price")}) == 1


@given(price=PRICES, size=SIZES.filter(bool), side=st.sampled_from(["buy", "sell", "unknown"]))
def test_a_trade_survives_both_ways(price: float, size: float, side: Any) -> None:
    event = TradeReceived(T, SYMBOL, price, size, side, "feed")
    message = decode_entry(fields_of(words_for_trade(event, "feed-1:7", T)))
    assert trade_of(message.body, "feed", False) == event
    assert message.body["trade_id"] == "feed-1:7"
    long = words_for_trade(event, "a-producer-with-a-very-long-name-indeed:7", T)[2]["trade_id"]
    assert isinstance(long, str)
    assert len(long) <= 36


@given(
    prices=st.lists(PRICES, min_size=4, max_size=4), volume=SIZES, interval=st.sampled_from(["1m", "5m", "1d", "30s"])
)
def test_a_bar_survives_both_ways(prices: list[float], volume: float, interval: str) -> None:
    low, first, second, high = sorted(prices)
    event = BarClosed(T, SYMBOL, interval, first, high, low, second, volume, "feed")
    body = decode_entry(fields_of(words_for_bar(event, T, "MID"))).body
    kind = body["bar_type"].removeprefix(f"{SYMBOL}-")
    assert bar_of(body, "feed", False) == msgspec.structs.replace(event, source=f"feed:{kind}")


def test_the_digits_of_the_instrument_are_kept() -> None:
    event = QuoteReceived(T, SYMBOL, 0.1 + 0.2, 0.5, 1000.0, 2.0, "feed")
    body = words_for_quote(event, T, Digits(5, 2))[2]
    assert (body["bid_price"], body["ask_price"], body["bid_size"]) == ("0.30000", "0.50000", "1000.00")
    with pytest.raises(UnmappedError, match="at most 16 decimal places there"):
        words_for_quote(event, T)
    with pytest.raises(UnmappedError, match="at most 0 decimal places, was 0"):
        words_for_quote(event, T, Digits(0, 0))


@pytest.mark.parametrize(
    "event",
    [
        QuoteReceived(T, SYMBOL, math.nan, 1.0, 1, 1, "feed"),
        QuoteReceived(T, SYMBOL, 1.0, math.inf, 1, 1, "feed"),
        QuoteReceived(T, SYMBOL, 1.0, 1e14, 1, 1, "feed"),
        QuoteReceived(T, SYMBOL, 1.0, 1.0, -1, 1, "feed"),
        QuoteReceived(T, "AAPL", 1.0, 1.0, 1, 1, "feed"),
        QuoteReceived(T, ".SIM", 1.0, 1.0, 1, 1, "feed"),
    ],
)
def test_quotes_that_a_node_would_refuse_are_refused_here(event: QuoteReceived) -> None:
    with pytest.raises(UnmappedError):
        words_for_quote(event, T)


@pytest.mark.parametrize("interval", ["", "m", "0m", "1x", "1 m", "-1m", "1m1", "tick"])
def test_intervals_that_are_none_are_refused(interval: str) -> None:
    with pytest.raises(UnmappedError, match="interval of a bar"):
        words_for_bar(BarClosed(T, SYMBOL, interval, 1, 1, 1, 1, 1, "feed"), T)


def test_a_bar_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(UnmappedError, match="must lie between its low and high"):
        words_for_bar(BarClosed(T, SYMBOL, "1d", 1.0, 0.9, 0.8, 0.85, 1, "feed"), T)


def test_a_topic_with_wildcards_is_refused() -> None:
    with pytest.raises(PayloadError, match="without wildcards"):
        fields_of(words_for_quote(QuoteReceived(T, "A*B.SIM", 1, 1, 1, 1, "feed"), T))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1704067200000000000", 1_704_067_200_000_000_000),
        (1_704_067_200_000_000_000, 1_704_067_200_000_000_000),
        ("2024-01-01T00:00:00Z", 1_704_067_200_000_000_000),
        ("2024-01-01T00:00:00.000000001Z", 1_704_067_200_000_000_001),
        ("2024-01-01T00:00:00.5+00:00", 1_704_067_200_500_000_000),
        ("0", 0),
    ],
)
def test_times_are_read_to_the_nanosecond(value: object, expected: int) -> None:
    assert timestamp({"ts_event": value}) == expected


@pytest.mark.parametrize("value", [None, "", "x", -1, 1.5, True, "2024-02-30T00:00:00Z", "2024-01-01", "9" * 30, []])
def test_times_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(PayloadError, match="ts_event of"):
        timestamp({"ts_event": value})


@pytest.mark.parametrize("value", ["1.30", "USD", "x USD", "1.30  ", "", None, 1.3, "nan USD", "inf USD"])
def test_money_without_amount_or_currency_is_refused(value: object) -> None:
    with pytest.raises(PayloadError):
        money({"type": "OrderFilled", "commission": value}, "commission")


@pytest.mark.parametrize(
    ("bar_type", "error"),
    [
        ("AUD/USD.SIM-1-MINUTE-BID-EXTERNAL", UnmappedError),
        ("AUD/USD.SIM-100-TICK-LAST-INTERNAL", UnmappedError),
        ("AUD/USD.SIM-MINUTE-LAST-EXTERNAL", PayloadError),
        ("nonsense", PayloadError),
    ],
)
def test_bars_we_have_no_word_for(bar_type: str, error: type[BridgeError]) -> None:
    body = {"type": "Bar", "bar_type": bar_type, "ts_event": "1"} | dict.fromkeys(("open", "high", "low", "close"), "1")
    with pytest.raises(error, match="was '"):
        bar_of(body | {"volume": "1"}, "feed", False)


def test_symbols_with_hyphens_and_composite_bars() -> None:
    body = {"type": "Bar", "bar_type": "BTC-PERP.X-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL", "ts_event": "1"}
    body |= dict.fromkeys(("open", "high", "low", "close", "volume"), "1")
    event = bar_of(body, "feed", False)
    assert (event.symbol, event.interval, event.source) == ("BTC-PERP.X", "5m", "feed:5-MINUTE-LAST-INTERNAL")


def test_instruments_of_its_own_kit() -> None:
    pytest.importorskip("nautilus_trader")
    from nautilus_trader.test_kit.providers import TestInstrumentProvider as Kit

    def ours(instrument: Any) -> tuple[Any, ...]:
        one = instrument_of(type(instrument).to_dict(instrument), "feed", False)
        return one.asset_class, one.currency, one.tick_size, one.lot_size, one.multiplier, one.is_tradable

    assert ours(Kit.equity()) == ("equity", "USD", "0.01", "100", "1", True)
    assert ours(Kit.default_fx_ccy("USD/JPY")) == ("fx", "JPY", "0.001", "1", "1", True)
    assert ours(Kit.btcusdt_binance()) == ("crypto", "USDT", "0.01", "0.000001", "1", True)
    assert ours(Kit.btcusdt_perp_binance()) == ("crypto", "USDT", "0.1", "0.001", "1", True)
    assert ours(Kit.audusd_cfd()) == ("fx", "USD", "0.00001", "1", "1", True)
    assert ours(Kit.commodity()) == ("commodity", "USD", "0.01", "1", "1", True)
    assert ours(Kit.aapl_option()) == ("derivative", "USD", "0.01", "1", "100", True)
    assert ours(Kit.index_instrument()) == ("index", "USD", "0.01", "1", "1", False)
    with pytest.raises(UnmappedError, match="must be linear, was inverse"):
        ours(Kit.xbtusd_bitmex())
