"""What a client missed, read from the stream and sent before anything live.

The replay walks the stream at the client's own pace, so it needs no queue, and joins the live events where the hub
stands at that moment: no event is left out and none is sent twice.
"""

from __future__ import annotations

import asyncio
from typing import Final

from libs.clock.live import monotonic_ns
from libs.messagebus.codec import Codec
from libs.messagebus.envelope import EventEnvelope, RecordBatch
from libs.messagebus.errors import DecodeError, TransportError
from libs.messagebus.topic import TopicRegistry
from libs.messagebus.transport import LAST, START, Entry, Transport, entry_order
from services.websocket import session as codes
from services.websocket.frames import data_body, data_frame
from services.websocket.hub import Hub
from services.websocket.patterns import full_name
from services.websocket.session import Session, Subscription

READ_COUNT: Final = 16
#: Between two looks whether the client has room again.
_WAIT_SECONDS: Final = 0.01


class Resumer:
    """Replays for clients that ask with ``from``; one task each, ended with the service.

    Args:
        hub: Tells where live events stand.
        transport: Where the streams are.
    """

    name = "resume"

    def __init__(self, hub: Hub, transport: Transport, codec: Codec, registry: TopicRegistry) -> None:
        self._hub = hub
        self._transport = transport
        self._codec = codec
        self._registry = registry
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Hold the replays until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.Event().wait()

    def begin(self, session: Session, subscription: Subscription, stream: str, entry_id: str, index: int) -> None:
        """Start one replay after ``(entry_id, index)``."""
        if self._group is None:
            self._hub.close(session, codes.INTERNAL, "the service is starting; try again")
            return
        self._group.create_task(self._replay(session, subscription, stream, entry_id, index))

    async def _replay(
        self, session: Session, subscription: Subscription, stream: str, entry_id: str, index: int
    ) -> None:
        subscription.stream, subscription.floor = stream, (entry_order(entry_id), index)
        try:
            await self._tell_gap(session, subscription, stream, entry_id)
            at_end = False
            while not session.is_closed:
                first = "{}-{}".format(*subscription.floor[0])
                entries = await self._transport.read_range(stream, first, LAST, READ_COUNT)
                if await self._send(session, subscription, entries):
                    at_end = False
                    continue
                # No await from here to the end: what the hub publishes next is newer than what was sent.
                handled = self._hub.handled.get(stream, subscription.floor)
                if handled <= subscription.floor or at_end:
                    # At the end twice although the hub is ahead: what lies between was trimmed while we sent.
                    subscription.floor = max(handled, subscription.floor)
                    break
                at_end = True
        except TransportError as error:
            self._hub.close(session, codes.INTERNAL, f"the replay was cut off: {error}")
            return
        subscription.is_live = True

    async def _tell_gap(self, session: Session, subscription: Subscription, stream: str, entry_id: str) -> None:
        """Say so when events after the position are gone, or when the stream never reached it (it was begun anew)."""
        oldest = await self._transport.read_range(stream, START, LAST, 1)
        first = oldest[0].entry_id if oldest else START
        newest = (await self._transport.tails([stream]))[stream]
        wanted = entry_order(entry_id)
        if entry_order(newest) < wanted:
            subscription.floor = (entry_order(START), -1)
        elif entry_order(first) <= wanted:
            return
        gap = {"type": "gap", "topic": subscription.pattern.text, "from": entry_id, "oldest": first}
        session.send(gap, monotonic_ns())

    async def _send(self, session: Session, subscription: Subscription, entries: list[Entry]) -> int:
        """Send what is after the floor; returns how many events the floor moved over."""
        moved = 0
        for entry in entries:
            order = entry_order(entry.entry_id)
            batch = self._decode(entry)
            for index, event in enumerate(batch.events if batch else ()):
                if (order, index) <= subscription.floor:
                    continue
                moved += 1
                subscription.floor = (order, index)
                topic = self._registry.by_event.get(type(event))
                if batch is None or topic is None or not subscription.pattern.matches(topic.name, topic.key_of(event)):
                    continue
                envelope = EventEnvelope(
                    entry.entry_id, index, topic.name, batch.event_id(index), batch.correlation_id(index),
                    batch.causation_id(index), batch.ts_publish, event,
                )  # fmt: skip
                body = data_body(envelope, full_name(topic.name, topic.key_of(event)))
                session.offer(data_frame(body, "replay"), "", monotonic_ns())
                session.flush()
                await self._room(session)
        return moved

    def _decode(self, entry: Entry) -> RecordBatch | None:
        try:
            return self._codec.salvage(entry.data)[0]
        except DecodeError:
            return None

    @staticmethod
    async def _room(session: Session) -> None:
        # The socket tells the session when it drains; asking now and then keeps that one callback simple.
        while not session.has_room and not session.is_closed:  # noqa: ASYNC110
            await asyncio.sleep(_WAIT_SECONDS)
