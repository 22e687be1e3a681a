"""A long batch looks at its sockets: what is more urgent comes next, and nobody starves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libs.clock import TestClock
from libs.contracts import topics
from libs.contracts.market import TradeReceived
from libs.contracts.portfolio import RecordCashFlow
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Outbox
from libs.engine.lanes import PriorityReader
from libs.engine.turn import handle_batch
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import Output
from tests.libs.engine.echo_engine import EchoEngine, cash, trade
from tests.libs.engine.instant_loop import run_instantly

MARKET, INBOX = topics.TICK.stream, topics.RECORD_CASH_FLOW.stream


def put(transport: MemoryTransport, event: Event, count: int = 1) -> None:
    stream = REGISTRY.topic_of(event).stream
    for _ in range(count):
        number = transport._streams[stream].last if stream in transport._streams else 0
        data = CODEC.encode(RecordBatch(stream, number, 0, [event]))
        transport.append_nowait(stream, number, 1, [Output(stream, data)])


class Watching(EchoEngine):
    """Notes what it handles, and lets something happen behind the first trade."""

    meanwhile: Callable[[], None]

    def __init__(self, clock: TestClock, outbox: Outbox) -> None:
        super().__init__(clock, outbox)
        self.seen: list[str] = []

    def on_trade(self, event: TradeReceived) -> None:
        super().on_trade(event)
        self.seen.append("trade")
        if len(self.seen) == 1:
            self.meanwhile()

    def on_record_cash_flow(self, command: RecordCashFlow) -> None:
        super().on_record_cash_flow(command)
        self.seen.append("cash")


def turns(trades: int, commands: int, look_ns: int, number: int) -> tuple[Watching, list[Batch]]:
    """The first batches of a reader with a backlog of trades; the commands come while the first trade is handled."""
    transport = MemoryTransport()
    put(transport, trade(1), trades)
    clock, outbox, batches = TestClock(), Outbox(), []
    engine = Watching(clock, outbox)
    engine.meanwhile = lambda: put(transport, cash(1, "1"), commands)
    core = EngineCore(engine, clock, outbox, CODEC, REGISTRY, follow_events=False)

    async def main() -> None:
        priorities = {MARKET: topics.TICK.priority, INBOX: topics.RECORD_CASH_FLOW.priority}
        reader = PriorityReader(transport, priorities, {}, lambda error: None)
        task = asyncio.create_task(reader.run())
        for _ in range(10):
            await asyncio.sleep(0)
        for _ in range(number):
            batches.append((await handle_batch(core, reader, reader.take(), 1, look_ns))[0])
            for _ in range(10):
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_instantly(main())
    return engine, batches


def test_more_urgent_arrivals_come_next_and_end_the_batch() -> None:
    engine, (first, second) = turns(trades=60, commands=2, look_ns=0, number=2)
    came = engine.seen.index("cash")
    assert came < 10  # within a few looks; without them behind all sixty
    assert engine.seen[came : came + 3] == ["cash", "cash", "trade"]
    # The batch ends one trade later, so that what the commands did is committed now; the rest follows in order.
    assert first.events == came + 3
    assert second.positions == {MARKET: "60-0"}
    assert first.events + second.events == 62
    assert first.positions[MARKET] == f"{came + 1}-0"


def test_nothing_is_cut_where_nothing_more_urgent_comes() -> None:
    _, (batch,) = turns(trades=60, commands=0, look_ns=0, number=1)
    assert batch.events == 60


def test_between_two_looks_the_batch_is_not_interrupted() -> None:
    engine, (batch,) = turns(trades=60, commands=2, look_ns=10**12, number=1)
    assert batch.events == 60
    assert engine.seen == ["trade"] * 60


def test_every_batch_moves_the_less_urgent_on_however_many_urgent_events_come() -> None:
    transport = MemoryTransport()
    clock, outbox = TestClock(), Outbox()
    engine = Watching(clock, outbox)
    engine.meanwhile = lambda: None
    core = EngineCore(engine, clock, outbox, CODEC, REGISTRY, follow_events=False)
    put(transport, trade(1), 50)

    async def main() -> None:
        priorities = {MARKET: topics.TICK.priority, INBOX: topics.RECORD_CASH_FLOW.priority}
        reader = PriorityReader(transport, priorities, {}, lambda error: None)
        task = asyncio.create_task(reader.run())
        for _ in range(50):
            put(transport, cash(1, "1"), 3)
            for _ in range(10):
                await asyncio.sleep(0)
            await handle_batch(core, reader, reader.take(), 1, 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_instantly(main())
    assert engine.seen.count("trade") == 50
