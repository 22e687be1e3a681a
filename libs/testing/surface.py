"""Calls an engine's HTTP routes in process: the real FastAPI application and problem handlers, no socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, FastAPI

from libs.engine.problems import install_problem_handlers


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; ``body`` is the decoded JSON."""

    status: int
    headers: dict[str, str]
    body: Any


class Surface:
    """An application with one engine's routes.

    Example::

        surface = Surface(router(harness.engine, commands))
        assert surface.call("GET", "/features/latest/AAPL.XNAS").status == 404
    """

    def __init__(self, router: APIRouter) -> None:
        self.app = FastAPI()
        install_problem_handlers(self.app)
        self.app.include_router(router)

    def call(self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request; ``body`` is sent as JSON unless it is bytes already."""
        return asyncio.run(self.send(method, target, body, headers))

    async def send(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """:meth:`call`, inside a running loop."""
        path, _, query = target.partition("?")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        scope["headers"] += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        sent: list[Any] = []
        requests = [{"type": "http.request", "body": data, "more_body": False}]

        async def receive() -> Any:
            return requests.pop(0) if requests else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head = next(message for message in sent if message["type"] == "http.response.start")
        content = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        found = {name.decode(): value.decode() for name, value in head["headers"]}
        return Answer(head["status"], found, json.loads(content) if content else None)
