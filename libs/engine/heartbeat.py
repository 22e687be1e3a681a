"""Heartbeats: every engine process says every two seconds that it lives; its readers notice when it stops.

A heartbeat is worth nothing late, so a failed one is not sent again: the next is on its way. Its age is measured
on the listener's own counter from its arrival, so machines need not agree on the time of day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from libs.clock.live import monotonic_ns
from libs.contracts import topics
from libs.contracts.system import HeartbeatSent
from libs.engine.vitals import UpstreamFact
from libs.messagebus.codec import Codec
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.errors import TransportError
from libs.messagebus.transport import Output, Transport

_SECOND = 1_000_000_000
#: Beats between two trims of the heartbeat stream: what a sender writes without end it also bounds.
_TRIM_EVERY = 300


class HeartbeatSender:
    """Sends one record batch a beat, with one event for each engine of the process.

    Args:
        producer: Producer id of its own, unique per incarnation.
        beats: Makes the events, at the moment of sending.
    """

    name = "heartbeat_sender"

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        producer: str,
        beats: Callable[[], Sequence[HeartbeatSent]],
        interval_seconds: float,
    ) -> None:
        self._transport = transport
        self._codec = codec
        self._producer = producer
        self._beats = beats
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Send until cancelled."""
        sequence = beat = 0
        while True:
            events = list(self._beats())
            if events:
                batch = RecordBatch(self._producer, sequence, events[0].ts_event, events)
                sequence += len(events)
                await self._send(batch)
                beat += 1
                if beat % _TRIM_EVERY == 0:
                    await self._trim()
            await asyncio.sleep(self._interval_seconds)

    async def _send(self, batch: RecordBatch) -> None:
        output = Output(topics.HEARTBEAT.stream, self._codec.encode(batch))
        try:
            await self._transport.append(self._producer, batch.sequence, len(batch.events), [output])
        except TransportError as error:
            structlog.get_logger("bus").debug("heartbeat_lost", error=str(error))

    async def _trim(self) -> None:
        try:
            await self._transport.trim({topics.HEARTBEAT.stream: topics.HEARTBEAT.retention})
        except TransportError as error:
            structlog.get_logger("bus").debug("heartbeats_not_trimmed", error=str(error))


class HeartbeatWatch:
    """Remembers who was heard when; :class:`~libs.engine.watch.BusWatch` feeds it."""

    def __init__(self) -> None:
        self._heard_ns: dict[str, int] = {}

    def note(self, event: HeartbeatSent) -> None:
        """A heartbeat has arrived; that of a standby says nothing of its primary."""
        if event.state == "standby":
            return
        self._heard_ns[event.engine] = monotonic_ns()

    def upstreams(self, engines: Sequence[str]) -> tuple[UpstreamFact, ...]:
        """What is known of ``engines``, in that order."""
        now = monotonic_ns()
        heard = ((engine, self._heard_ns.get(engine)) for engine in engines)
        return tuple(UpstreamFact(name, None if at is None else (now - at) / _SECOND) for name, at in heard)
