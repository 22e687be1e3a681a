"""The peer of the bus benchmark: the same job by hand, on plain redis-py, with the guarantees left out.

What somebody writes in an afternoon: a publisher that XADDs packed batches, a consumer that XREADs, decodes, calls the
same handler and writes its signals and its position in one MULTI, an observer. No idempotent append, no fencing, no
journal, no hash, no priorities, no metrics, no event loop. What our engine costs beyond it is the price of those.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection as Pipe

from redis import Redis

from benchmarks.bus_parts import CountingEngine, Load, quote
from libs.contracts.topics import CODEC, QUOTE, SIGNAL
from libs.engine.engine import Outbox
from libs.messagebus.envelope import RecordBatch

_READ = 16


def peer_publisher(load: Load, pipe: Pipe) -> None:
    """Publish; answers with ``perf_counter_ns`` at the start."""
    client = Redis.from_url(load.url)
    client.ping()
    pipe.send("ready")
    pipe.recv()
    start = time.perf_counter_ns()
    event = quote(start)
    for first in range(0, load.events, load.batch):
        batch = RecordBatch("peer", first, start, [event] * min(load.batch, load.events - first))
        client.xadd(QUOTE.stream, {"d": CODEC.encode(batch)})
    pipe.send(start)


def peer_engine(load: Load, pipe: Pipe) -> None:
    """Consume until everything is handled and written."""
    client = Redis.from_url(load.url)
    client.ping()
    outbox = Outbox()
    engine = CountingEngine(outbox, None)
    handlers = {route.topic.event: route.handler for route in engine.routes()}
    position, sequence = "0-0", 0
    pipe.send("ready")
    while engine.state.seen < load.events:
        for _, entries in client.xread({QUOTE.stream: position}, _READ, 1_000) or ():
            with client.pipeline(transaction=True) as transaction:
                for entry_id, fields in entries:
                    for event in CODEC.decode(fields[b"d"]).events:
                        handlers[type(event)](event)
                    position = entry_id
                signals = list(outbox.events)
                outbox.clear()
                transaction.xadd(SIGNAL.stream, {"d": CODEC.encode(RecordBatch("peer", sequence, 0, signals))})
                transaction.set("position", position)
                transaction.execute()
                sequence += len(signals)


def peer_observer(load: Load, signals: int, pipe: Pipe) -> None:
    """Read the signals; says "ready", then the ``perf_counter_ns`` of the last one."""
    client = Redis.from_url(load.url)
    client.ping()
    pipe.send("ready")
    seen, position = 0, "0-0"
    while seen < signals:
        for _, entries in client.xread({SIGNAL.stream: position}, 64, 1_000) or ():
            for entry_id, fields in entries:
                position = entry_id
                seen += len(CODEC.decode(fields[b"d"]).events)
        time.sleep(0.005)
    pipe.send(time.perf_counter_ns())
