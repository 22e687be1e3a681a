"""The edge of an HTTP surface: correlation ids, bounded and finite bodies, requests counted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import count
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.clock.live import monotonic_ns
from libs.engine.metrics import HttpMetrics

#: Largest body a path takes unless ``body_limits`` says otherwise.
MAX_BODY_BYTES = 1024 * 1024

CORRELATION_HEADER = "X-Correlation-Id"
_CORRELATION = re.compile(r"[A-Za-z0-9._:\-]{1,128}")

# Python's JSON reader takes NaN and Infinity, which JSON does not have, turns 1e999 into infinity, and takes half of a
# surrogate pair, which no UTF-8 (so no bus) can carry. Looking for their spellings first costs microseconds; only a
# body that has one is read twice.
_SUSPICIOUS = re.compile(rb"NaN|Infinity|[eE]\+?\d{3}|\d{300}|\\u[dD][89a-fA-F]")

_serial = count(1)


class LargeBody(HTTPException):
    """A body is larger than its path takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"a body on this path must be at most {limit} bytes, was larger; split the request")


class RefusedBody(HTTPException):
    """A body holds something that JSON, UTF-8 or arithmetic has no place for.

    Attributes:
        found: As it was written, or None where that cannot be sent back.
    """

    def __init__(self, text: str, found: str | None = None) -> None:
        super().__init__(422, text)
        self.found = found


class EdgeMiddleware:
    """What every request passes through first, and every answer last.

    Args:
        app: The application inside.
        metrics: Counts requests, where given.
        body_limits: Bytes by path, where 1 MiB is too little.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: HttpMetrics | None = None,
        body_limits: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._body_limits = dict(body_limits or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = monotonic_ns()
        headers = Headers(scope=scope)
        given = headers.get(CORRELATION_HEADER, "")
        correlation_id = given if _CORRELATION.fullmatch(given) else f"http:{next(_serial)}"
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[CORRELATION_HEADER] = correlation_id
            await send(message)

        limit = self._body_limits.get(scope["path"], MAX_BODY_BYTES)
        checked = _checked(receive, limit, is_json="json" in headers.get("content-type", ""))
        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
            await self._app(scope, checked, answer)
        if self._metrics is not None:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.observe(scope["method"], route, status, (monotonic_ns() - started) / 1e9)


def _checked(receive: Receive, limit: int, *, is_json: bool) -> Receive:
    """``receive``, refusing a body over ``limit`` bytes and JSON that is not finite Unicode."""
    chunks: list[bytes] = []
    size = 0

    async def checked() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise LargeBody(limit)
            if is_json:
                chunks.append(chunk)
                if not message.get("more_body") and _SUSPICIOUS.search(body := b"".join(chunks)):
                    _refuse_what_json_lacks(body)
        return message

    return checked


def _refuse_what_json_lacks(body: bytes) -> None:
    def constant(text: str) -> Any:
        raise RefusedBody("numbers must be finite; send null where there is none", text)

    def number(text: str) -> float:
        return float(text) if abs(float(text)) < float("inf") else constant(text[:50])

    try:
        document = json.loads(body, parse_constant=constant, parse_float=number)
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise RefusedBody("text must be whole Unicode characters, was half a surrogate pair") from None
    except (ValueError, RecursionError):
        return  # no JSON at all; the route says so
