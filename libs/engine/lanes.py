"""Reading by priority: a lane and a queue each, bounded starvation.

Each priority has a connection that blocks on its streams and a bound of its own. Measured under a saturating LOW
backlog, one blocking read on all streams made URGENT wait 33 to 225 ms; and where two priorities share a lane, the
backlog of the lower fills it and the higher is not read at all until up to 14 batches of the lower are done. Apart,
each waits for the batch in hand. It costs a host at most two more connections.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from libs.messagebus.errors import TransportError
from libs.messagebus.priority import QUANTA, Priority
from libs.messagebus.transport import START, Entry, Transport

#: Bytes a lane keeps read ahead; past it the lane stops reading, which is what bounds a host's memory.
LANE_BYTES = 2 * 1024 * 1024
#: Bytes of each priority one batch takes at most (always at least one entry of each that waits). A commit costs 0.2 to
#: 0.3 ms however little is in it: with 256 kB a backlog went through at 0.53 million events/s, with this at 0.65.
BATCH_BYTES = 1024 * 1024
#: A blocked read returns after this long, so that a stopping host never waits longer for it.
BLOCK_MS = 1000

_BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class _Lane:
    def __init__(self, streams: Sequence[str], positions: Mapping[str, str]) -> None:
        self.positions = {name: positions.get(name, START) for name in streams}
        self.queued_bytes = 0
        self.space = asyncio.Event()
        self.count = 16


class PriorityReader:
    """Keeps the four queues of one sequenced reader filled.

    Args:
        streams: Stream name to priority.
        positions: Last committed entry id by stream.
        on_transport_error: Told about each failed read; reading goes on after a pause.
    """

    def __init__(
        self,
        transport: Transport,
        streams: Mapping[str, Priority],
        positions: Mapping[str, str],
        on_transport_error: Callable[[TransportError], None],
    ) -> None:
        self._transport = transport
        self._on_transport_error = on_transport_error
        self._priorities = dict(streams)
        self._queues: dict[Priority, deque[Entry]] = {priority: deque() for priority in Priority}
        used = sorted(set(streams.values()))
        self._lanes = [_Lane([name for name in streams if streams[name] == level], positions) for level in used]
        self._lane_of = {name: lane for lane in self._lanes for name in lane.positions}
        self.arrived = asyncio.Event()

    @property
    def queued(self) -> int:
        """Entries read but not yet taken."""
        return sum(map(len, self._queues.values()))

    @property
    def read_positions(self) -> dict[str, str]:
        """How far each stream has been read, taken or not."""
        return {name: entry_id for lane in self._lanes for name, entry_id in lane.positions.items()}

    async def run(self) -> None:
        """Read until cancelled.

        Raises:
            TrimmedError: If a stream was trimmed past a position.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes:
                    group.create_task(self._run_lane(lane))
                await asyncio.Event().wait()  # an engine without inputs still has its timers
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the operator is told why, not that it was in a group

    def take(self) -> list[Entry]:
        """The next batch: URGENT first, then HIGH, then a bounded share of NORMAL and of LOW."""
        batch = self._take(self._queues)
        if not any(self._queues.values()):
            self.arrived.clear()
        return batch

    def _take(self, priorities: Iterable[Priority]) -> list[Entry]:
        batch: list[Entry] = []
        for priority in priorities:
            queue, budget = self._queues[priority], BATCH_BYTES
            for _ in range(min(len(queue), QUANTA[priority])):
                entry = queue.popleft()
                batch.append(entry)
                lane = self._lane_of[entry.stream]
                lane.queued_bytes -= len(entry.data)
                lane.space.set()
                budget -= len(entry.data)
                if budget <= 0:
                    break
        return batch

    def take_more_urgent(self, than: Entry) -> list[Entry]:
        """What arrived meanwhile and is served before ``than``; the same bounds."""
        return self._take(priority for priority in self._queues if priority < self._priorities[than.stream])

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Return the last of what was taken, to be taken again before everything behind it."""
        for entry in reversed(entries):
            self._queues[self._priorities[entry.stream]].appendleft(entry)
            self._lane_of[entry.stream].queued_bytes += len(entry.data)
        if entries:
            self.arrived.set()

    def split(self, entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
        """The first entry of each priority, which no batch may withhold, and the rest, which can wait."""
        first: dict[Priority, Entry] = {}
        rest = [entry for entry in entries if first.setdefault(self._priorities[entry.stream], entry) is not entry]
        return list(first.values()), rest

    async def _run_lane(self, lane: _Lane) -> None:
        failures = 0
        while True:
            while lane.queued_bytes >= LANE_BYTES:
                lane.space.clear()
                await lane.space.wait()
            try:
                entries = await self._transport.read(lane.positions, lane.count, BLOCK_MS)
            except TransportError as error:
                self._on_transport_error(error)
                await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
                failures += 1
                continue
            failures = 0
            if not entries:
                continue
            size = 0
            for entry in entries:
                self._queues[self._priorities[entry.stream]].append(entry)
                lane.positions[entry.stream] = entry.entry_id
                size += len(entry.data)
            lane.queued_bytes += size
            # Replies of 0.4 to 1 MB are the cheapest per entry; the next read aims at half of that.
            lane.count = max(4, min(256, LANE_BYTES // 2 // max(1, size // len(entries))))
            self.arrived.set()
