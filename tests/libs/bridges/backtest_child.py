"""A real NautilusTrader backtest that publishes to Redis; afterwards it tells as JSON what it did.

A process of its own, because NautilusTrader aborts the process that gives it wrong input, and logs once a process.
Arguments: port of the server, encoding, ``topics`` for a stream per topic or ``one``, number of quotes.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import DatabaseConfig, LoggingConfig, MessageBusConfig, StrategyConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import (
    AccountType,
    AggressorSide,
    OmsType,
    OrderSide,
    TimeInForce,
    TrailingOffsetType,
)
from nautilus_trader.model.identifiers import TradeId, TraderId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

START = 1_704_067_200_000_000_000
SECOND = 1_000_000_000
INSTRUMENT = TestInstrumentProvider.default_fx_ccy("AUD/USD", Venue("SIM"))
BARS = BarType.from_str("AUD/USD.SIM-1-MINUTE-MID-EXTERNAL")
BID_BARS = BarType.from_str("AUD/USD.SIM-1-MINUTE-BID-EXTERNAL")


class Everything(Strategy):
    """Sends one order of each kind; remembers every event it was told of."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="S", order_id_tag="000"))
        self.told: list[Any] = []
        self.count = 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT.id)
        self.subscribe_trade_ticks(INSTRUMENT.id)
        self.subscribe_bars(BARS)
        self.subscribe_bars(BID_BARS)

    def on_event(self, event: Any) -> None:
        self.told.append(event)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.count += 1
        make, qty, price = self.order_factory, INSTRUMENT.make_qty, INSTRUMENT.make_price
        iid = INSTRUMENT.id
        if self.count == 5:
            self.submit_order(make.market(iid, OrderSide.BUY, qty(100_000)))
        elif self.count == 7:
            self.submit_order(make.market(iid, OrderSide.BUY, qty(3_000_000)))  # more than the quote offers
        elif self.count == 10:
            self.resting = make.limit(iid, OrderSide.BUY, qty(100_000), price(0.5))
            self.submit_order(self.resting)
            self.submit_order(make.stop_limit(iid, OrderSide.SELL, qty(1000), price(0.4), price(0.41)))
            self.submit_order(
                make.stop_market(iid, OrderSide.SELL, qty(1000), price(0.41), time_in_force=TimeInForce.DAY)
            )
            self.submit_order(
                make.trailing_stop_market(
                    iid, OrderSide.SELL, qty(1000), Decimal("0.1"), trailing_offset_type=TrailingOffsetType.PRICE
                )
            )
        elif self.count == 12:
            self.modify_order(self.resting, quantity=qty(50_000))
        elif self.count == 15:
            self.cancel_order(self.resting)
        elif self.count == 20:
            self.submit_order(make.market(iid, OrderSide.SELL, qty(3_150_000)))  # turns the position around
        elif self.count == 25:
            until = self.clock.utc_now() + pd.Timedelta(seconds=3)
            self.submit_order(
                make.limit(iid, OrderSide.BUY, qty(1000), price(0.5), expire_time=until, time_in_force=TimeInForce.GTD)
            )
        elif self.count == 30:
            self.submit_order(make.market(iid, OrderSide.BUY, qty(50_000)))
        elif self.count == 35:
            self.submit_order(make.market(iid, OrderSide.BUY, qty(100_000_000)))  # denied
        elif self.count == 37:
            self.submit_order(make.limit(iid, OrderSide.BUY, qty(1000), price(0.9), post_only=True))  # rejected


def data(quotes: int) -> list[Any]:
    iid = INSTRUMENT.id
    found: list[Any] = [
        QuoteTick(
            iid, Price.from_str(f"{0.65 + i % 500 * 1e-5:.5f}"), Price.from_str(f"{0.65002 + i % 500 * 1e-5:.5f}"),
            Quantity.from_int(1_000_000), Quantity.from_int(2_000_000), START + i * SECOND, START + i * SECOND + 5,
        )
        for i in range(quotes)
    ]  # fmt: skip
    sides = [AggressorSide.BUYER, AggressorSide.SELLER, AggressorSide.NO_AGGRESSOR]
    found += [
        TradeTick(
            iid, Price.from_str(f"{0.65 + i * 1e-5:.5f}"), Quantity.from_int(1000 + i), sides[i % 3], TradeId(str(i)),
            START + i * SECOND + 7, START + i * SECOND + 7,
        )
        for i in range(9)
    ]  # fmt: skip
    for kind in (BARS, BID_BARS):
        prices = [Price.from_str(text) for text in ("0.65010", "0.66000", "0.64001", "0.65500")]
        at = START + 45 * SECOND + 9
        found.append(Bar(kind, *prices, Quantity.from_int(7), at, at))
    return found


def main(port: str, encoding: str, streams: str, quotes: str) -> None:
    bus = MessageBusConfig(
        database=DatabaseConfig(host="127.0.0.1", port=int(port)),
        encoding=encoding,
        stream_per_topic=streams == "topics",
    )
    engine = BacktestEngine(
        BacktestEngineConfig(trader_id=TraderId("BT-001"), logging=LoggingConfig(bypass_logging=True), message_bus=bus)
    )
    engine.add_venue(
        venue=Venue("SIM"), oms_type=OmsType.NETTING, account_type=AccountType.MARGIN,
        starting_balances=[Money(1_000_000, USD)], base_currency=USD, default_leverage=Decimal(10),
    )  # fmt: skip
    engine.add_instrument(INSTRUMENT)
    everything = data(int(quotes))
    for kind in (QuoteTick, TradeTick, Bar):
        engine.add_data([one for one in everything if type(one) is kind])
    strategy = Everything()
    engine.add_strategy(strategy)
    engine.run()
    cache = engine.kernel.cache
    positions = [*cache.position_snapshots(), *cache.positions()]
    told = {
        "data": [type(one).to_dict(one) for one in everything],
        "events": [type(one).to_dict(one) for one in strategy.told],
        "realized": [str(one.realized_pnl) for one in positions],
        "commissions": [str(money) for one in positions for money in one.commissions()],
        "balance": str(cache.accounts()[0].balance_total(USD)),
        "orders": {
            str(one.client_order_id): [one.status_string(), str(one.quantity), str(one.filled_qty)]
            for one in cache.orders()
        },
    }
    engine.dispose()
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
