"""The page on NautilusTrader is run: its backtest, its node, and the commands beside them."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from libs.clock import LiveClock
from libs.contracts.market import BarClosed, QuoteReceived, TradeReceived
from libs.contracts.orders import OrderFilled
from libs.contracts.portfolio import PositionUpdated
from libs.contracts.topics import CODEC, REGISTRY
from libs.messagebus import Publisher, RedisTransport
from libs.testing.servers import redis_server
from tests.libs.bridges.bridging import eventually, of

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(find_spec("nautilus_trader") is None, reason="nautilus_trader is not installed"),
]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "nautilus-trader.md").read_text()
BACKTEST, NODE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = [
    shlex.split(block.replace("\\\n", " ")) for block in re.findall(r"```\n(nautilus .*?)```", PAGE, flags=re.DOTALL)
]


class Processes:
    """What a test started; none outlives it."""

    def __init__(self, port: int) -> None:
        self.port = str(port)
        self.started: list[subprocess.Popen[str]] = []

    def python(self, code: str) -> subprocess.Popen[str]:
        return self._start([sys.executable, "-c", code, self.port])

    def nautilus(self, words: list[str]) -> subprocess.Popen[str]:
        return self._start([sys.executable, "-m", "services.fleet", *(w.replace("6379", self.port) for w in words[1:])])

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        self.started.append(
            subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, env=dict(os.environ))
        )
        return self.started[-1]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


def test_the_backtest_of_the_page_is_read() -> None:
    with redis_server() as server, Processes(server.port) as processes:
        bridge = processes.nautilus(COMMANDS[0])
        said, complained = processes.python(BACKTEST).communicate(timeout=300)
        assert said, complained
        closed, balance, _ = said.splitlines()[-1].split()
        fills = int(closed)  # market orders that the quoted size covers: one fill each
        assert fills > 5

        def done(found: Any) -> bool:
            return len(of(found, PositionUpdated)) >= fills and len(of(found, BarClosed)) >= 400

        found = asyncio.run(eventually(server.url, "{backtest}", done))
        assert len(of(found, OrderFilled)) == len(of(found, PositionUpdated)) == fills
        last = of(found, PositionUpdated)[-1]
        paid = sum(fill.commission for fill in of(found, OrderFilled))
        assert last.fees == paid
        if not last.quantity:
            assert last.realized_pnl - last.fees == Decimal(balance) - 1_000_000
        bridge.send_signal(signal.SIGTERM)
        _, told = bridge.communicate(timeout=60)
        assert bridge.returncode == 0
        assert "0 dead letters" in told


def test_the_node_of_the_page_is_given_our_data() -> None:
    now = LiveClock().timestamp_ns()
    events = [
        QuoteReceived(now, "AUD/USD.SIM", 0.65, 0.65012, 1000.0, 2000.0, "feed"),
        TradeReceived(now, "AUD/USD.SIM", 0.65, 3.0, "buy", "feed"),
        BarClosed(now, "AUD/USD.SIM", "1d", 0.65, 0.66, 0.64, 0.655, 12.0, "feed"),
    ]

    async def publish(url: str) -> None:
        transport = RedisTransport(url)
        publisher = Publisher(transport, CODEC, REGISTRY, "feed-1", LiveClock())
        await publisher.publish_many_wait(events)
        await publisher.close()
        await transport.close()

    with redis_server() as server, Processes(server.port) as processes:
        node = processes.python(NODE)
        patience = Timer(120, node.kill)  # a node that was given nothing says nothing
        patience.start()
        feed = processes.nautilus([*COMMANDS[1], "--oldest"])  # it may start after the events are published
        assert node.stdout is not None
        assert node.stdout.readline() == "ready\n"
        asyncio.run(publish(server.url))
        assert [node.stdout.readline() for _ in events] == [
            f"AUD/USD.SIM,0.65000,0.65012,1000,2000,{now}\n",
            f"AUD/USD.SIM,0.65000,3,BUYER,feed-1:1,{now}\n",
            f"AUD/USD.SIM-1-DAY-LAST-EXTERNAL,0.65000,0.66000,0.64000,0.65500,12,{now}\n",
        ]
        feed.send_signal(signal.SIGTERM)
        _, told = feed.communicate(timeout=60)
        assert "3 messages; not expressed: none" in told
        patience.cancel()
