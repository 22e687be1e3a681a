"""``GET /api/v1/trace/{event_id}``: what ``nautilus trace`` shows, read from the bus of the running fleet."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request

from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.problems import Problem
from libs.trace.errors import EventIdError, TrimmedEventError, UnknownEventError
from libs.trace.locate import EventSource, Locator
from libs.trace.walk import Tracer
from services.gateway.api import check_rate
from services.gateway.limiter import RateLimiter
from services.gateway.settings import GatewaySettings

#: A walk is some hundred small reads of the bus, which the fleet needs for itself.
_AT_ONCE: Final = 2


def trace_router(source: EventSource, settings: GatewaySettings) -> APIRouter:
    """The route; ``source`` is the gateway's bus."""
    routes = APIRouter(tags=["trace"])
    reads, turn = RateLimiter(settings.reads_per_second), asyncio.Semaphore(_AT_ONCE)

    @routes.get("/api/v1/trace/{event_id}")
    async def trace(event_id: str, request: Request, sources: bool = False) -> dict[str, Any]:
        """Walk an event back: its cause, what it was computed from, and so on to the market events.

        ``sources``: also show the commands by which market data came in.
        """
        check_rate(request, reads)
        tracer = Tracer(Locator(source, CODEC, REGISTRY), REGISTRY, sources)
        try:
            async with turn:
                return (await tracer.trace(event_id)).as_plain()
        except EventIdError as error:
            raise Problem(
                422, "invalid-event-id", str(error), "event ids stand in events of /ws and in a trace"
            ) from None
        except UnknownEventError as error:
            raise Problem(404, "unknown-event", str(error), "check the id; ids grow from 0 for each producer") from None
        except TrimmedEventError as error:
            raise Problem(410, "event-trimmed", str(error), "nautilus trace --file on a recording") from None

    return routes
