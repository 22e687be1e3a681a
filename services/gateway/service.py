"""The gateway put together."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from libs.clock import Clock
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.auth import Guard, ensure_admin, make_guard
from libs.engine.settings import ProcessSettings
from libs.engine.tailing import TailContext, TailService, TailWork
from libs.engine.tokens import Principal
from libs.engine.users import UserStore
from libs.messagebus.workers import LetterDesk, work_queue
from services.gateway.adapters.relay import Relay
from services.gateway.adapters.rounds import Rounds
from services.gateway.adapters.upstream import Upstreams
from services.gateway.api import router
from services.gateway.auth_api import Desk, auth_router
from services.gateway.console import console_router
from services.gateway.dlq_api import dlq_router
from services.gateway.fleet import fault_of
from services.gateway.health_api import FleetView, health_router
from services.gateway.metrics import GatewayMetrics
from services.gateway.settings import EngineUrls, GatewaySettings
from services.gateway.trace_api import trace_router

#: Who the gateway is to the engines when it asks for itself.
_ITSELF: Final = Principal("gateway", ("viewer",))
_ROUNDS_SILENCE_SECONDS: Final = 8.0


def gateway_service(settings: GatewaySettings, urls: EngineUrls) -> TailService:
    """What a process runs as the gateway."""
    # One store a data directory: the door asks the same one that logins are written to.
    users_in = cache(UserStore)

    def guard(process: ProcessSettings, clock: Clock) -> Guard:
        door = make_guard(process, settings.host, clock, reads_need_loopback=True)
        if door.tokens is None:
            return door
        users = users_in(process.data_dir)
        return replace(door, is_revoked=lambda who: bool(who.family) and not users.is_open(who.family))

    def make(context: TailContext) -> TailWork:
        _ensure_admin(context.process)
        door = guard(context.process, context.clock)
        upstreams = Upstreams(urls, lambda *seen: metrics.observe(*seen))
        rounds = Rounds(
            upstreams, settings, lambda: _identity(door), context.host.task(Rounds.name, _ROUNDS_SILENCE_SECONDS)
        )
        metrics = GatewayMetrics(
            context.registry,
            upstreams.breakers,
            lambda: {name: found.state == "healthy" for name, found in rounds.readings.items()},
        )
        relay = Relay(urls.of("websocket"), token_required=not door.reads_open)
        desk = Desk(users_in(context.process.data_dir), door.tokens, context.clock, settings)

        def heartbeat_ages() -> Mapping[str, float | None]:
            return {upstream.engine: upstream.age_seconds for upstream in context.host.vitals().upstreams}

        return TailWork(
            tasks=(upstreams, rounds),
            routers=(
                health_router(FleetView(rounds, upstreams, settings, heartbeat_ages), context.clock),
                auth_router(desk),
                console_router(settings.stale_seconds, context.process.auth),
                trace_router(context.transport, settings),
                dlq_router(_letters(context), CODEC),
                router(upstreams, settings),
            ),
            counters=lambda: _counters(upstreams, relay),
            faults=lambda: [
                fault for name in settings.required if (fault := fault_of(name, rounds.readings.get(name)))
            ],
            upgrade=relay.upgrade,
        )

    return TailService("gateway", make, settings, guard=guard, upstreams=settings.required)


def _letters(context: TailContext) -> LetterDesk:
    queue = work_queue(context.transport, context.clock)
    return LetterDesk(queue, context.transport, CODEC, REGISTRY, context.clock)


def _ensure_admin(process: ProcessSettings) -> None:
    if process.auth == "off":
        return
    password = ensure_admin(process.data_dir)
    if password is not None:
        # Past the log on purpose, which is kept; this is shown once.
        sys.stderr.write(f"login     admin / {password}   (shown only this once; change it after the first login)\n")
        sys.stderr.flush()


def _identity(door: Guard) -> dict[str, str]:
    if door.tokens is None:
        return {}
    return {"authorization": f"Bearer {door.tokens.issue('access', _ITSELF)[0]}"}


def _counters(upstreams: Upstreams, relay: Relay) -> dict[str, Any]:
    return {
        "websocket_connections": relay.connections,
        "websocket_connections_opened": relay.opened,
        "breakers_opened": {name: one.opened for name, one in sorted(upstreams.breakers.items()) if one.opened},
    }
