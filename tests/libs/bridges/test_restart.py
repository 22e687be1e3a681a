"""The bridge is killed in the middle, and so is the bus: every message of a backtest arrives once, in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from libs.bridges.nautilus_trader import inbound
from libs.contracts.market import QuoteReceived
from libs.contracts.orders import OrderFilled, OrderRejected, OrderSubmitted
from libs.contracts.portfolio import PositionUpdated
from libs.messagebus.redis.server import EmbeddedRedis
from libs.testing.servers import redis_server
from tests.libs.bridges.bridging import ROOT, bridged, child, eventually, of, told_by

pytestmark = pytest.mark.faults

QUOTES = 4000


def start(node: EmbeddedRedis, bus: EmbeddedRedis) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "services.fleet", "bridge", "from-nautilus-trader"]
    command += ["--kinds", "market,orders,positions,accounts"]
    environment = os.environ | {"BRIDGE_FROM": node.url, "BRIDGE_TO": bus.url}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)


def test_restarts_between_any_two_messages_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        await bridged(node.url, node.url, lambda found: len(of(found, OrderRejected)) == 1, prefix="{whole}")
        whole = await eventually(node.url, "{whole}", lambda found: len(of(found, QuoteReceived)) == 60)
        monkeypatch.setattr(inbound, "READ_COUNT", 1)  # one message a commit
        for count in range(1, len(whole), 3):
            await bridged(node.url, node.url, lambda found, count=count: len(found) >= count, prefix="{parts}")
        await bridged(node.url, node.url, lambda found: len(found) >= len(whole), prefix="{parts}")
        assert await eventually(node.url, "{parts}", lambda _: True) == whole

    with redis_server() as node:
        told_by(child("backtest_child.py", node.port, "json", "one", 60))
        asyncio.run(scenario())


def test_nothing_is_lost_or_doubled_by_kills() -> None:
    started: list[subprocess.Popen[bytes]] = []

    async def scenario() -> None:
        started.append(start(node, bus))
        backtest = child("backtest_child.py", node.port, "msgpack", "one", QUOTES)
        told = asyncio.create_task(asyncio.to_thread(told_by, backtest))
        for bound in (1, 4, 5):  # while orders are open whose description lies before the kill
            await eventually(bus.url, "{nautilus}", lambda found, bound=bound: len(of(found, OrderFilled)) >= bound)
            started[-1].kill()
            started[-1].wait()
            started.append(start(node, bus))
        await asyncio.to_thread(bus.kill)
        await asyncio.to_thread(bus.start)
        expected: Any = await told
        found = await eventually(bus.url, "{nautilus}", lambda found: len(of(found, QuoteReceived)) >= QUOTES)
        quotes = of(found, QuoteReceived)
        assert [one.ts_event for one in quotes] == [one["ts_event"] for one in expected["data"][:QUOTES]]
        assert len({event_id for event_id, _ in found}) == len(found)
        counted = [len(of(found, kind)) for kind in (OrderFilled, OrderSubmitted, OrderRejected, PositionUpdated)]
        assert counted == [6, 8, 1, 6]
        last = of(found, PositionUpdated)[-1]
        assert last.realized_pnl - last.fees == Decimal(expected["balance"].split()[0]) - 1_000_000
        started[-1].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(started[-1].wait, 60) == 0

        # A bridge without any memory of the first makes the same events of the same messages, ids included.
        again = "{again}"
        await bridged(node.url, bus.url, lambda found: len(of(found, QuoteReceived)) >= QUOTES, prefix=again)
        assert await eventually(bus.url, again, lambda _: True) == found

    with redis_server() as node, redis_server(appendonly=True) as bus:
        try:
            asyncio.run(scenario())
        finally:
            for process in started:
                process.kill()
                process.wait()
