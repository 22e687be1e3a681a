"""A real NautilusTrader node that reads an external stream; tells as JSON what its actor was given.

Arguments: port of the server, stream, encoding, number of messages to wait for. It prints ``ready`` when it listens.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.config import (
    DatabaseConfig,
    LiveDataEngineConfig,
    LiveExecEngineConfig,
    LoggingConfig,
    MessageBusConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType, TradeTick
from nautilus_trader.model.identifiers import ClientId, TraderId, Venue
from nautilus_trader.test_kit.providers import TestInstrumentProvider

INSTRUMENT = TestInstrumentProvider.default_fx_ccy("AUD/USD", Venue("SIM"))
FLEET = ClientId("FLEET")


class Listener(Actor):
    def __init__(self, count: int) -> None:
        super().__init__(ActorConfig(component_id="LISTENER"))
        self.given: list[Any] = []
        self.expected = count

    def on_start(self) -> None:
        self.cache.add_instrument(INSTRUMENT)
        self.subscribe_quote_ticks(INSTRUMENT.id, client_id=FLEET)
        self.subscribe_trade_ticks(INSTRUMENT.id, client_id=FLEET)
        self.msgbus.add_streaming_type(TradeTick)  # 1.221 registers another type for trades
        self.subscribe_bars(BarType.from_str("AUD/USD.SIM-5-MINUTE-LAST-EXTERNAL"), client_id=FLEET)
        print("ready", flush=True)

    def take(self, one: Any) -> None:
        self.given.append(type(one).to_dict(one))
        if len(self.given) == self.expected:
            NODE.kernel.loop.call_soon_threadsafe(NODE.stop)

    on_quote_tick = on_trade_tick = on_bar = take


port, stream, encoding, count = sys.argv[1:]
NODE = TradingNode(
    config=TradingNodeConfig(
        trader_id=TraderId("NODE-001"),
        logging=LoggingConfig(log_level="ERROR", log_colors=False),
        data_engine=LiveDataEngineConfig(external_clients=[FLEET]),
        exec_engine=LiveExecEngineConfig(reconciliation=False),
        message_bus=MessageBusConfig(
            database=DatabaseConfig(host="127.0.0.1", port=int(port)), encoding=encoding, external_streams=[stream]
        ),
        timeout_connection=2.0,
        timeout_reconciliation=1.0,
        timeout_portfolio=1.0,
        timeout_disconnection=1.0,
        timeout_post_stop=0.2,
    )
)
listener = Listener(int(count))
NODE.trader.add_actor(listener)
NODE.build()
try:
    NODE.run()
finally:
    NODE.dispose()
print(json.dumps(listener.given))
