"""The work queue that belongs to a transport."""

from __future__ import annotations

from libs.clock import Clock
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import Transport
from libs.messagebus.workers.memory_queue import MemoryWorkQueue
from libs.messagebus.workers.queue import WorkQueue
from libs.messagebus.workers.redis_queue import RedisWorkQueue


def work_queue(transport: Transport, clock: Clock) -> WorkQueue:
    """A work queue over the streams of ``transport``, which stays its owner's to connect and close.

    Args:
        transport: A Redis or a memory transport.
        clock: Measures silence on the memory transport; a Redis server uses its own.

    Raises:
        TypeError: For any other transport.
    """
    if isinstance(transport, MemoryTransport):
        return MemoryWorkQueue(transport, clock)
    if isinstance(transport, RedisTransport):
        return RedisWorkQueue(transport)
    raise TypeError(f"transport must be a RedisTransport or a MemoryTransport, was {type(transport).__name__}")
