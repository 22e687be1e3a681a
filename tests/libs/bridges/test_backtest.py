"""A real NautilusTrader backtest publishes to Redis; what we read of it are its own numbers, field by field.

The oracle is the backtest itself: its data as it was given, and the events its strategy was told of in process, which
never went through Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis

from libs.contracts.market import BarClosed, InstrumentDefined, QuoteReceived, TradeReceived
from libs.contracts.orders import (
    OrderAccepted,
    OrderCancelled,
    OrderCancelRequested,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from libs.contracts.portfolio import PortfolioCreated, PositionUpdated
from libs.contracts.system import EventDeadLettered
from libs.messagebus import RedisTransport
from libs.messagebus.topic import Event
from libs.testing.servers import redis_server
from tests.libs.bridges.bridging import bridged, child, everything, of, told_by

QUOTES = 60
SIDES = {"BUY": "buy", "SELL": "sell"}
Found = list[tuple[str, Event]]


class Run:
    """One backtest and what the bridge made of it."""

    def __init__(self, told: Any, found: Found, left: dict[str, int], url: str) -> None:
        self.told, self.found, self.left, self.url = told, found, left, url

    def data(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.told["data"] if one["type"] == kind]

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        return [one for one in self.told["events"] if one["type"] in kinds]


@pytest.fixture(scope="module", params=[("json", "one"), ("msgpack", "one"), ("json", "topics")], ids="-".join)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    encoding, streams = request.param
    with redis_server() as server:
        told = told_by(child("backtest_child.py", server.port, encoding, streams, QUOTES))
        kinds = ("market", "orders") if streams == "topics" else ("market", "orders", "positions", "accounts")
        positions = 6 if "positions" in kinds else 0

        def done(found: Found) -> bool:
            counted = [len(of(found, kind)) for kind in (OrderRejected, QuoteReceived, PositionUpdated)]
            return counted == [1, QUOTES, positions]

        bridge = asyncio.run(bridged(server.url, server.url, done, kinds=kinds))
        found = asyncio.run(read(server.url))
        yield Run(told, found, dict(bridge.translator.left), server.url)


async def read(url: str) -> Found:
    transport = RedisTransport(url)
    found = await everything(transport)
    await transport.close()
    return found


def test_quotes_are_its_quotes(run: Run) -> None:
    assert of(run.found, QuoteReceived) == [
        QuoteReceived(
            one["ts_event"], one["instrument_id"], float(one["bid_price"]), float(one["ask_price"]),
            float(one["bid_size"]), float(one["ask_size"]), "nautilus_trader",
        )
        for one in run.data("QuoteTick")
    ]  # fmt: skip


def test_trades_are_its_trades(run: Run) -> None:
    sides: Any = {"BUYER": "buy", "SELLER": "sell", "NO_AGGRESSOR": "unknown"}
    assert of(run.found, TradeReceived) == [
        TradeReceived(
            one["ts_event"], one["instrument_id"], float(one["price"]), float(one["size"]),
            sides[one["aggressor_side"]], "nautilus_trader",
        )
        for one in run.data("TradeTick")
    ]  # fmt: skip


def test_bars_are_its_bars_of_middle_prices(run: Run) -> None:
    (theirs,) = [one for one in run.data("Bar") if "-MID-" in one["bar_type"]]
    assert of(run.found, BarClosed) == [
        BarClosed(
            theirs["ts_event"], "AUD/USD.SIM", "1m", 0.6501, 0.66, 0.64001, 0.655, 7.0,
            "nautilus_trader:1-MINUTE-MID-EXTERNAL",
        )
    ]  # fmt: skip


def test_the_instrument_is_defined(run: Run) -> None:
    assert of(run.found, InstrumentDefined) == [
        InstrumentDefined(0, "AUD/USD.SIM", "fx", "USD", "0.00001", "1", source="nautilus_trader")
    ]


def test_fills_are_its_fills(run: Run) -> None:
    ours, theirs = of(run.found, OrderFilled), run.events("OrderFilled")
    assert len(ours) == len(theirs) == 6
    filled: dict[str, Decimal] = {}
    for our, their in zip(ours, theirs, strict=True):
        quantity = Decimal(run.told["orders"][their["client_order_id"]][1])
        filled[their["client_order_id"]] = filled.get(their["client_order_id"], Decimal(0)) + Decimal(their["last_qty"])
        assert (our.ts_event, our.fill_id, our.client_order_id, our.venue_order_id) == (
            their["ts_event"], their["trade_id"], their["client_order_id"], their["venue_order_id"],
        )  # fmt: skip
        assert (our.portfolio_id, our.strategy_id, our.symbol, our.side) == (
            their["account_id"], their["strategy_id"], their["instrument_id"], SIDES[their["order_side"]],
        )  # fmt: skip
        assert (str(our.last_quantity), str(our.last_price)) == (their["last_qty"], their["last_px"])
        assert f"{our.commission} {our.currency}" == their["commission"]
        assert our.cumulative_quantity == filled[their["client_order_id"]]
        assert our.leaves_quantity == quantity - our.cumulative_quantity
        assert our.state == ("partially_filled" if our.leaves_quantity else "filled")
    # 2,000,000 were offered at the quoted price, the rest went one tick beyond it, against the trader both times.
    assert [str(fill.slippage) for fill in ours] == ["0.00000", "0.00000", "0.00001", "0.00000", "0.00001", "0.00000"]


def test_submissions_say_what_was_ordered(run: Run) -> None:
    described = {one["client_order_id"]: one for one in run.events("OrderInitialized")}
    types = {"MARKET": "market", "LIMIT": "limit", "STOP_MARKET": "stop", "STOP_LIMIT": "stop_limit"}
    theirs = [
        one
        for one in run.events("OrderSubmitted")
        if (about := described[one["client_order_id"]])["order_type"] in types and about["time_in_force"] != "GTD"
    ]
    ours = of(run.found, OrderSubmitted)
    assert len(ours) == len(theirs) == 8
    for our, their in zip(ours, theirs, strict=True):
        about = described[our.client_order_id]
        price, trigger = (about["options"].get(name) for name in ("price", "trigger_price"))
        assert (our.client_order_id, our.ts_event) == (their["client_order_id"], their["ts_event"])
        assert (our.portfolio_id, our.venue, our.currency) == ("SIM-001", "SIM", "USD")
        assert (our.side, our.order_type) == (SIDES[about["order_side"]], types[about["order_type"]])
        assert (str(our.quantity), our.time_in_force) == (about["quantity"], about["time_in_force"].lower())
        assert our.limit_price == (None if price is None else Decimal(price))
        assert our.stop_price == (None if trigger is None else Decimal(trigger))
        # The quote that made the strategy order, or the one before it: a node publishes it after it was handled.
        tick = (our.ts_event - 1_704_067_200_000_000_005) // 1_000_000_000
        side = "ask_price" if our.side == "buy" else "bid_price"
        assert str(our.reference_price) in {run.data("QuoteTick")[i][side] for i in (tick - 1, tick)}


@pytest.mark.parametrize(
    ("kind", "theirs", "fields"),
    [
        (OrderAccepted, "OrderAccepted", {"venue_order_id": "venue_order_id"}),
        (OrderRejected, "OrderRejected", {"reason": "reason"}),
        (OrderDenied, "OrderDenied", {"value": "reason"}),
        (OrderCancelRequested, "OrderPendingCancel", {}),
        (OrderCancelled, "OrderCanceled", {}),
        (OrderExpired, "OrderExpired", {}),
    ],
)
def test_the_rest_of_an_orders_life(run: Run, kind: type[Any], theirs: str, fields: dict[str, str]) -> None:
    same = {"ts_event": "ts_event", "client_order_id": "client_order_id", "strategy_id": "strategy_id"} | fields
    same["symbol"] = "instrument_id"
    ours = [{ours: getattr(one, ours) for ours in same} for one in of(run.found, kind)]
    assert ours == [{our: one[their] for our, their in same.items()} for one in run.events(theirs)]
    assert ours


def test_positions_and_profit_are_its_own(run: Run) -> None:
    ours = of(run.found, PositionUpdated)
    if not ours:
        pytest.skip("positions need fills on the same stream")
    assert [str(one.quantity) for one in ours] == ["100000", "2100000", "3100000", "2100000", "-50000", "0"]
    opened = run.events("PositionOpened", "PositionChanged")
    assert [one.average_price for one in ours] == [*(Decimal(str(one["avg_px_open"])) for one in opened), Decimal(0)]
    fees = [Decimal(one["commission"].split()[0]) for one in run.events("OrderFilled")]
    assert [one.fees for one in ours] == [sum(fees[: i + 1]) for i in range(6)]
    # After all is closed, what the account gained is the profit less the fees: the backtest's own balance says so.
    balance = Decimal(run.told["balance"].split()[0])
    assert ours[-1].realized_pnl - ours[-1].fees == balance - 1_000_000
    assert of(run.found, PortfolioCreated) == [
        PortfolioCreated(1_704_067_200_000_000_005, "SIM-001", "SIM-001", "USD", Decimal("1000000.00"))
    ]


def test_what_cannot_be_expressed_is_a_dead_letter_that_says_why(run: Run) -> None:
    dead = of(run.found, EventDeadLettered)
    assert [one.error.partition(",")[0] for one in sorted(dead, key=lambda one: one.error)] == [
        "UnmappedError: bars must be of LAST or MID prices",
        "UnmappedError: time in force of an order must be among DAY",
        "UnmappedError: type of an order must be among MARKET",
    ]
    with Redis.from_url(run.url) as client:
        for one in dead:
            ((_, fields),) = client.xrange(one.stream, one.entry_id, one.entry_id)
            assert fields[b"payload"] == one.payload, "a dead letter says where its message lies"
            assert fields[b"topic"].decode() == one.topic


def test_what_has_no_counterpart_is_counted(run: Run) -> None:
    assert run.left.pop("ComponentStateChanged") > 10
    assert run.left == {"OrderFilled": 6, "OrderPendingUpdate": 1}  # the second copies of fills, on events.fills


def test_ids_say_where_a_message_lies(run: Run) -> None:
    with Redis.from_url(run.url) as client:
        for event_id, event in run.found:
            if isinstance(event, QuoteReceived):
                producer, _, sequence = event_id.rpartition(":")
                place = f"{int(sequence) >> 20}-{int(sequence) & (1 << 20) - 1}"
                ((_, fields),) = client.xrange(producer.removeprefix("nautilus_trader:"), place, place)
                assert str(event.ts_event).encode() in fields[b"payload"]
