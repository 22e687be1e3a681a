"""HTTP surface of the websocket engine: who is connected, what can be subscribed, and what an administrator may do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.engine.auth import actor_of
from libs.engine.problems import Problem
from services.websocket.frames import encode
from services.websocket.hub import Hub
from services.websocket.patterns import BROADCAST, permission_of

Limit = Annotated[int, Query(ge=1, le=1000)]
#: An operator ended the connection.
KICKED = 4003


class Broadcast(BaseModel):
    """A message from an administrator to everybody subscribed to ``topic``."""

    model_config = ConfigDict(extra="forbid")

    topic: str = Field(default=BROADCAST, max_length=200)
    message_type: str = Field(default="data", pattern=r"^[a-z][a-z0-9_.-]{0,49}$")
    data: dict[str, Any]

    @field_validator("topic")
    @classmethod
    def _below_system(cls, topic: str) -> str:
        if topic != BROADCAST and not topic.startswith(f"{BROADCAST}."):
            # Under an engine's topic a broadcast could pass for a fill or a price.
            raise ValueError(f"must be '{BROADCAST}' or begin with '{BROADCAST}.', was '{topic}'")
        return topic


def router(hub: Hub, clock: Clock, instance: Callable[[], str]) -> APIRouter:
    """Routes over one hub.

    Args:
        hub: What is shown and controlled.
        clock: The live clock.
        instance: Names this run, for message ids.
    """
    routes = APIRouter(tags=["websocket"])
    _add_connections(routes, hub)
    _add_topics(routes, hub)
    _add_broadcast(routes, hub, clock, instance)
    return routes


def _add_connections(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/connections")
    async def connections(limit: Limit = 100, cursor: str = "") -> dict[str, Any]:
        """Clients connected now, oldest first; ``cursor`` is the id after which to go on."""
        now = monotonic_ns()
        ids = list(hub.sessions)
        after = ids[ids.index(cursor) + 1 :] if cursor in hub.sessions else ids
        page = [hub.sessions[name].describe(now) for name in after[:limit]]
        return {"items": page, "count": len(page), "next_cursor": after[limit - 1] if len(after) > limit else None}

    @routes.delete("/connections/{connection_id}")
    async def disconnect(connection_id: str, request: Request) -> dict[str, Any]:
        """End one connection with close code 4003."""
        session = hub.sessions.get(connection_id)
        if session is None:
            raise Problem(404, "unknown-connection", f"no client is connected as '{connection_id}'", "see /connections")
        actor = actor_of(request)
        hub.close(session, KICKED, f"closed by {actor}")
        return {"connection_id": connection_id, "closed": True, "code": KICKED, "actor": actor}


def _add_topics(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/topics")
    async def topics() -> dict[str, Any]:
        """What can be subscribed; a key follows the name after a dot, ``*`` stands for one and ``**`` for the rest."""
        items = [
            {
                "topic": topic.name,
                "key": topic.key or None,
                "priority": topic.priority.label,
                "delivery": "newest per key" if topic.conflate else "lossless",
                "permission": permission_of(topic.name),
                "description": topic.description,
            }
            for _, topic in sorted(hub.topics.items())
        ]
        return {"items": items, "count": len(items), "next_cursor": None}


def _add_broadcast(routes: APIRouter, hub: Hub, clock: Clock, instance: Callable[[], str]) -> None:
    serial = count(1)

    @routes.post("/broadcast")
    async def broadcast(message: Broadcast, request: Request) -> dict[str, Any]:
        """Send a message to everybody subscribed to its topic."""
        message_id = f"{instance()}-broadcast:{next(serial)}"
        now = clock.timestamp_ns()
        frame = encode(
            {
                "type": message.message_type, "topic": message.topic, "id": message_id, "ts_event": now,
                "ts_publish": now, "correlation_id": message_id, "source": actor_of(request),
                "is_synthetic": False, "data": message.data,
            }
        )  # fmt: skip
        return {
            "message_id": message_id,
            "topic": message.topic,
            "recipients": hub.broadcast(message.topic, frame, monotonic_ns()),
        }
