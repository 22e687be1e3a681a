"""Anything may lie on a stream: it is translated or refused by name, within bounds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.bridges.nautilus_trader.errors import BridgeError, PayloadError, UnmappedError
from libs.bridges.nautilus_trader.merge import in_order
from libs.bridges.nautilus_trader.translator import KINDS, Translator
from libs.bridges.nautilus_trader.wire import MAX_PAYLOAD_BYTES, Message, decimal, decode_entry

JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=6),
    max_leaves=12,
)
KNOWN = st.sampled_from(
    ["type", "instrument_id", "bid_price", "ts_event", "id", "bar_type", "options", "order_side", "balances",
     "trader_id", "client_order_id", "account_id", "position_id", "last_qty", "commission", "price_increment",
     "quantity", "base_currency"]
)  # fmt: skip
TYPES = st.sampled_from(
    ["QuoteTick", "TradeTick", "Bar", "CurrencyPair", "Cfd", "OrderInitialized", "OrderFilled", "OrderSubmitted",
     "OrderUpdated", "OrderCanceled", "PositionOpened", "PositionClosed", "AccountState", "Other"]
)  # fmt: skip
TOPICS = st.sampled_from(["data.x", "events.order.S", "events.position.S", "events.account.A", "health:heartbeat"])


@given(payload=st.binary(max_size=64), topic=st.binary(max_size=16), encoding=st.sampled_from([b"json", b"sbe", b""]))
def test_any_bytes_are_read_or_refused_by_name(payload: bytes, topic: bytes, encoding: bytes) -> None:
    with suppress(PayloadError):
        decode_entry({b"topic": topic, b"payload": payload, b"encoding": encoding})


@given(bodies=st.lists(st.tuples(TOPICS, TYPES, st.dictionaries(KNOWN, JSONISH, max_size=12)), max_size=5))
def test_any_fields_are_translated_or_refused_by_name(bodies: list[tuple[str, str, dict[str, Any]]]) -> None:
    translator = Translator(KINDS)
    for topic, kind, body in bodies:
        fields = {b"topic": topic.encode(), b"payload": msgspec.msgpack.encode({"n": 1})}
        message = decode_entry(fields)._replace(kind=kind, body=body | {"type": kind})
        with suppress(BridgeError):
            translator.translate(message)
    restored = Translator(KINDS)
    restored.memory.restore(translator.memory.snapshot(), [])
    assert restored.memory.snapshot() == translator.memory.snapshot()


@pytest.mark.parametrize("value", ["1E+999999", "1e-400", "1" * 29, "nan", "-Infinity", "", "x", True, None, [], {}])
def test_numbers_out_of_all_bounds_are_refused(value: object) -> None:
    with pytest.raises(PayloadError, match="finite number of ordinary size"):
        decimal({"type": "Bar", "open": value}, "open")


def test_balances_that_are_none_are_refused() -> None:
    body = {"type": "AccountState", "account_id": "A", "base_currency": "USD", "ts_event": "1"}
    for balances in (None, "x", ["x"], {}):
        with pytest.raises(PayloadError, match="balances of account A"):
            Translator(KINDS).translate(Message("events.account.A", "AccountState", body | {"balances": balances}, b""))
    two = body | {"base_currency": None, "balances": [{}, {}]}
    with pytest.raises(UnmappedError, match="one base currency, was None with 2 balances"):
        Translator(KINDS).translate(Message("events.account.A", "AccountState", two, b""))


def test_a_payload_is_bounded_before_it_is_decoded() -> None:
    with pytest.raises(PayloadError, match=f"at most {MAX_PAYLOAD_BYTES} bytes"):
        decode_entry({b"topic": b"t", b"payload": b"{" + b" " * MAX_PAYLOAD_BYTES})


def test_streams_are_merged_by_time_and_none_runs_ahead() -> None:
    def entry(at: str, ts: int, topic: str) -> tuple[str, dict[bytes, bytes]]:
        return at, {b"topic": topic.encode(), b"payload": msgspec.json.encode({"type": "T", "ts_init": str(ts)})}

    streams = {
        "orders": [
            entry("5-0", 30, "events.order.S"),
            entry("6-0", 31, "events.order.S"),
            entry("9-0", 40, "events.order.S"),
        ],
        "quotes": [
            entry("5-0", 29, "data.q"),
            entry("5-1", 30, "data.q"),
            entry("5-2", 31, "data.q"),
            entry("6-0", 32, "data.q"),
        ],
    }
    ids = [(one.key, one.entry_id) for one in in_order(streams, 4)]
    assert ids == [
        ("quotes", "5-0"), ("quotes", "5-1"), ("orders", "5-0"), ("quotes", "5-2"), ("orders", "6-0"),
        ("quotes", "6-0"),
    ]  # fmt: skip
    assert len(in_order(streams, 5)) == 7
