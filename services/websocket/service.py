"""The websocket engine put together."""

from __future__ import annotations

import asyncio
from typing import Any

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.auth import Guard, make_guard
from libs.engine.settings import ProcessSettings
from libs.engine.tailing import TailContext, TailService, TailWork
from libs.messagebus.tail import TailReader
from services.websocket.adapters.door import Doorway
from services.websocket.adapters.resume import Resumer
from services.websocket.adapters.tail import TailFeed, Ticker
from services.websocket.api import router
from services.websocket.conversation import Conversation
from services.websocket.hub import Hub, public_topics
from services.websocket.metrics import WebsocketMetrics
from services.websocket.settings import WebsocketSettings

#: Without a sign from these tasks for as long the service is degraded; both report at least once a second or so.
_TICKER_SILENCE_SECONDS = 5.0


def websocket_service(settings: WebsocketSettings) -> TailService:
    """What a process runs as the websocket engine."""

    def guard(process: ProcessSettings, clock: Clock) -> Guard:
        return make_guard(process, settings.host, clock, reads_need_loopback=True)

    def make(context: TailContext) -> TailWork:
        metrics = WebsocketMetrics(context.registry)
        loop = asyncio.get_running_loop()

        def flush_soon() -> None:
            # After whatever else happens in this turn of the loop, so that its events leave in one write.
            loop.call_soon(lambda: hub.flush(monotonic_ns()))

        hub = Hub(
            settings,
            REGISTRY,
            guard(context.process, context.clock),
            on_dirty=flush_soon,
            observe_latency=metrics.observe_latency,
        )
        metrics.watch(hub)
        resumer = Resumer(hub, context.transport, CODEC, REGISTRY)
        doorway = Doorway(hub, Conversation(hub, resumer.begin), context.clock)
        reader = TailReader(context.transport, CODEC, REGISTRY, public_topics(REGISTRY))
        feed = TailFeed(hub, reader, context.host.running, context.host.task(TailFeed.name))
        ticker = Ticker(hub, context.clock, context.host.task(Ticker.name, _TICKER_SILENCE_SECONDS))
        return TailWork(
            tasks=(feed, ticker, resumer),
            routers=(router(hub, context.clock, lambda: context.host.instance),),
            counters=lambda: _counters(hub, reader),
            upgrade=doorway.upgrade,
        )

    return TailService("websocket", make, settings, guard=guard)


def _counters(hub: Hub, reader: TailReader) -> dict[str, Any]:
    return {
        "connections": len(hub.sessions),
        "subscriptions": sum(len(session.subscriptions) for session in hub.sessions.values()),
        "events_received": hub.published,
        "messages_sent": hub.sent,
        "broadcasts": hub.broadcasts,
        "connections_refused": hub.refused,
        "bad_events": reader.bad_events,
        "bus_gaps": reader.gaps,
    }
