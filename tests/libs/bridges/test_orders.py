"""Orders and positions whose numbers the stream does not give are refused by name, and nothing is made up for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from libs.bridges.nautilus_trader.errors import UnmappedError
from libs.bridges.nautilus_trader.memory import CLOSED_ORDERS, Memory, OrderNote
from libs.bridges.nautilus_trader.translator import KINDS, Translator
from libs.bridges.nautilus_trader.wire import Message
from libs.contracts.orders import OrderCancelled, OrderFilled, OrderSubmitted
from libs.contracts.portfolio import PositionUpdated
from libs.messagebus.topic import Event

BASE = {
    "trader_id": "T-1", "strategy_id": "S-1", "instrument_id": "A.X", "client_order_id": "O-1", "account_id": "X-1",
    "venue_order_id": "V-1", "ts_event": "1", "ts_init": "1", "currency": "USD",
}  # fmt: skip
INITIALIZED = {
    "order_side": "BUY", "order_type": "LIMIT", "time_in_force": "GTC", "quantity": "10", "reduce_only": True,
    "options": {"price": "2.50"},
}  # fmt: skip
FILLED = {"trade_id": "F-1", "order_side": "BUY", "last_qty": "4", "last_px": "2.4", "commission": "0.10 USD"}
QUOTE = {"bid_price": "2.3", "ask_price": "2.6", "bid_size": "1", "ask_size": "1"}
POSITION = {"position_id": "P-1", "side": "LONG", "quantity": "4", "last_qty": "4", "avg_px_open": 2.4}


class Stream:
    """Messages on their way through one translator."""

    def __init__(self, *kinds: Any, **options: Any) -> None:
        self.translator = Translator(kinds or KINDS, **options)

    def send(self, kind: str, fields: dict[str, Any] | None = None, stream: str = "s", **more: Any) -> Event | None:
        folder = {"Order": "events.order.S", "Posit": "events.position.S"}.get(kind[:5], "data.x")
        body = {"type": kind} | BASE | (fields or {}) | more
        return self.translator.translate(Message(folder, kind, body, b""), stream)

    def described(self, **more: Any) -> Stream:
        self.send("Equity", id="A.X", price_increment="0.1", lot_size="1")
        self.send("QuoteTick", QUOTE)
        self.send("OrderInitialized", INITIALIZED, **more)
        return self


def test_an_order_and_its_fills() -> None:
    stream = Stream().described()
    submitted = stream.send("OrderSubmitted")
    assert isinstance(submitted, OrderSubmitted)
    assert (submitted.limit_price, submitted.reduce_only) == (Decimal("2.50"), True)
    assert (submitted.reference_price, submitted.currency) == (Decimal("2.6"), "USD")
    first, second = stream.send("OrderFilled", FILLED), stream.send("OrderFilled", FILLED, last_qty="6", trade_id="F-2")
    assert isinstance(first, OrderFilled)
    assert isinstance(second, OrderFilled)
    assert (first.leaves_quantity, first.state, first.slippage) == (Decimal(6), "partially_filled", Decimal("-0.2"))
    assert (second.cumulative_quantity, second.leaves_quantity, second.state) == (Decimal(10), Decimal(0), "filled")


def test_slippage_of_a_sale_is_against_the_bid_and_worse_is_positive() -> None:
    stream = Stream().described(order_side="SELL")
    fill = stream.send("OrderFilled", FILLED, order_side="SELL", last_px="2.1")
    assert isinstance(fill, OrderFilled)
    assert fill.slippage == Decimal("0.2")


def test_without_quotes_the_last_trade_and_without_trades_the_last_close_is_the_reference() -> None:
    for kind, fields in (
        ("TradeTick", {"price": "2.2", "size": "1", "aggressor_side": "BUYER"}),
        (
            "Bar",
            dict.fromkeys(("open", "high", "low", "close", "volume"), "2.2") | {"bar_type": "A.X-1-DAY-LAST-EXTERNAL"},
        ),
    ):
        stream = Stream(currency="EUR")
        stream.send("OrderInitialized", INITIALIZED)
        stream.send(kind, fields)
        submitted = stream.send("OrderSubmitted")
        assert isinstance(submitted, OrderSubmitted)
        assert (submitted.reference_price, submitted.currency) == (Decimal("2.2"), "EUR")


def test_a_fill_after_the_cancel_counts() -> None:
    stream = Stream().described()
    stream.send("OrderFilled", FILLED)
    cancelled = stream.send("OrderCanceled")
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.filled_quantity == Decimal(4)
    late = stream.send("OrderFilled", FILLED, last_qty="1", trade_id="F-2")
    assert isinstance(late, OrderFilled)
    assert late.cumulative_quantity == Decimal(5)


def test_a_changed_order_has_its_new_quantity() -> None:
    stream = Stream().described()
    stream.send("OrderUpdated", quantity="4", price="2.4", trigger_price=None)
    fill = stream.send("OrderFilled", FILLED)
    assert isinstance(fill, OrderFilled)
    assert fill.state == "filled"


@pytest.mark.parametrize(
    ("described", "event", "fields", "reason"),
    [
        (None, "OrderSubmitted", {}, "must have been described by OrderInitialized"),
        (None, "OrderCanceled", {}, "must have been described by OrderInitialized"),
        ({"order_type": "TRAILING_STOP_MARKET"}, "OrderSubmitted", {}, "type of an order must be among MARKET"),
        ({"time_in_force": "GTD"}, "OrderSubmitted", {}, "time in force of an order must be among DAY"),
        ({"order_side": "NO_ORDER_SIDE"}, "OrderSubmitted", {}, "side of an order must be among BUY"),
        ({"quote_quantity": True}, "OrderSubmitted", {}, "in units of the instrument"),
        ({}, "OrderFilled", FILLED | {"commission": "0.1 BNB"}, "commission of a fill must be in the currency"),
        ({}, "OrderFilled", FILLED | {"last_qty": "11"}, "must not exceed its quantity, 10, was 11"),
    ],
)
def test_what_cannot_be_said_is_refused(
    described: dict[str, Any] | None, event: str, fields: dict[str, Any], reason: str
) -> None:
    stream = Stream() if described is None else Stream().described(**described)
    with pytest.raises(UnmappedError, match=reason):
        stream.send(event, fields)


def test_market_data_left_out_of_the_stream_is_named_as_the_reason() -> None:
    stream = Stream(currency="USD")
    stream.send("OrderInitialized", INITIALIZED)
    for event, fields in (("OrderSubmitted", {}), ("OrderFilled", FILLED)):
        with pytest.raises(UnmappedError, match="must have been seen before its orders, was none"):
            stream.send(event, fields)
    stream = Stream()
    stream.send("QuoteTick", QUOTE)
    stream.send("OrderInitialized", INITIALIZED)
    with pytest.raises(UnmappedError, match="its currency is unknown"):
        stream.send("OrderSubmitted")


def test_positions_are_netted_over_their_cycles() -> None:
    stream = Stream().described()
    stream.send("OrderFilled", FILLED)
    opened = stream.send("PositionOpened", POSITION, realized_pnl="-0.10 USD")
    stream.send("OrderFilled", FILLED, last_qty="6", commission="0.20 USD", trade_id="F-2")
    turned = [
        stream.send("PositionClosed", POSITION, side="FLAT", quantity="0", last_qty="4", realized_pnl="1.00 USD"),
        stream.send("PositionOpened", POSITION, side="SHORT", quantity="2", last_qty="2", realized_pnl="-0.07 USD"),
    ]
    assert isinstance(opened, PositionUpdated)
    assert (opened.realized_pnl, opened.fees, opened.quantity) == (Decimal("0.00"), Decimal("0.10"), Decimal(4))
    assert turned[0] is None, "one fill is one update"
    assert isinstance(turned[1], PositionUpdated)
    assert (turned[1].realized_pnl, turned[1].fees) == (Decimal("1.23"), Decimal("0.30"))
    assert (turned[1].quantity, turned[1].fill_id) == (Decimal(-2), "F-2")


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([("PositionOpened", POSITION)], "must follow its fill, was without"),
        ([("OrderFilled", FILLED), ("PositionChanged", POSITION)], "opening of P-1 must have been seen"),
        (
            [("OrderFilled", FILLED), ("PositionOpened", POSITION), ("OrderFilled", FILLED),
             ("PositionOpened", POSITION | {"position_id": "P-2"})],
            "one position in A.X at a time, was P-1 and P-2",
        ),
        ([("OrderFilled", FILLED), ("PositionOpened", POSITION | {"stream": "other"})], "must come on one stream"),
        ([("OrderFilled", FILLED), ("PositionOpened", POSITION | {"currency": "EUR"})], "must be in EUR, was USD"),
    ],
)  # fmt: skip
def test_positions_whose_profit_is_unknown_are_refused(messages: list[tuple[str, dict[str, Any]]], reason: str) -> None:
    stream = Stream().described(quantity="100")
    *before, (kind, last) = messages
    for one, fields in before:
        stream.send(one, {"realized_pnl": "0 USD"} | fields)
    with pytest.raises(UnmappedError, match=reason):
        stream.send(kind, {"realized_pnl": "0 USD"} | last, **({"stream": "other"} if "stream" in last else {}))


def test_orders_that_nobody_wanted_are_still_remembered() -> None:
    stream = Stream("positions").described()
    assert stream.send("OrderSubmitted") is None
    assert stream.send("OrderFilled", FILLED, commission="0.1 BNB") is None  # not refused: nobody asked
    assert isinstance(stream.send("PositionOpened", POSITION, realized_pnl="-0.1 USD"), PositionUpdated)


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="kinds must be among market, orders, positions, accounts, was 'fills'"):
        Translator(["fills"])  # type: ignore[list-item]


def test_memory_is_bounded_and_comes_back_from_notes() -> None:
    memory, twin = Memory(), Memory()
    note = OrderNote("BUY", "LIMIT", "GTC", Decimal("1.50"), None, None, False, False)
    notes = []
    for number in range(CLOSED_ORDERS + 50):
        memory.put("order", f"o{number}", note)
        memory.close_order(f"o{number}", msgspec.structs.replace(note, filled=Decimal(number)))
        if number % 100 == 0:
            notes.append(memory.take_changes())
    notes.append(memory.take_changes())
    twin.restore(b"", notes)
    assert twin.snapshot() == memory.snapshot()
    assert memory.order("o49") is None
    kept = twin.order("o50")
    assert kept is not None
    assert (kept.filled, str(kept.quantity)) == (Decimal(50), "1.50")
    assert memory.take_changes() == b""
