"""One turn of a host: a batch handled without keeping what is more urgent waiting.

A batch is as large as a backlog pays for, several milliseconds of handling. So between entries the host looks at its
sockets; what is more urgent and has come meanwhile is handled next, and the batch is cut short behind it, because its
effects exist only once the batch is committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from libs.clock.live import monotonic_ns
from libs.engine.core import Batch, EngineCore
from libs.engine.lanes import PriorityReader
from libs.messagebus.transport import Entry

#: Between two looks while a batch is handled; an entry is never interrupted (512 quotes take about 0.4 ms).
LOOK_NS = 200_000


async def handle_batch(
    core: EngineCore, reader: PriorityReader, entries: Sequence[Entry], ts: int, look_ns: int = LOOK_NS
) -> tuple[Batch, int]:
    """Handle ``entries``, taken from ``reader``; what the batch leaves out is put back there.

    Cut short it still holds one entry of each priority that was taken, so a steady stream of urgent events starves
    nobody.

    Returns:
        The batch, to be committed, and the nanoseconds its handling took.
    """
    waiting = deque(entries)
    core.begin(ts)
    spent, is_cut = 0, False
    started = monotonic_ns()
    while waiting:
        core.handle(waiting.popleft())
        now = monotonic_ns()
        if not waiting or is_cut or now - started < look_ns:
            continue
        spent += now - started
        await asyncio.sleep(0)
        if urgent := reader.take_more_urgent(waiting[0]):
            kept, rest = reader.split(waiting)
            reader.put_back(rest)
            waiting = deque([*urgent, *kept])
            is_cut = True
        started = monotonic_ns()
    batch = core.finish()
    return batch, spent + monotonic_ns() - started
