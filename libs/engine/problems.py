"""Errors over HTTP: RFC 9457 ``application/problem+json``, the same on every surface.

Raise :class:`Problem` in a route. ``CommandRefused``, bus errors, validation errors, unknown paths and bugs
become one of their own; no answer carries a trace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.engine.edge import EdgeMiddleware, RefusedBody
from libs.engine.errors import CommandRefused
from libs.engine.metrics import HttpMetrics
from libs.messagebus.errors import BufferFullError, TransportError

MEDIA_TYPE = "application/problem+json"

#: Seconds a client should wait after a 429 or 503 that names no better time.
RETRY_AFTER_SECONDS = 2

#: Longest piece of a client's input that is sent back to it.
_MAX_ECHO = 200
_SECRET_WORDS = ("password", "secret", "token", "api_key", "apikey")
_CODES = {
    400: "bad-request",
    401: "token-missing",
    403: "permission-denied",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
    429: "rate-limited",
    501: "capability-unavailable",
    503: "not-ready",
}


class Problem(Exception):
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        code: Machine-readable reason, lower case with dashes.
        detail: What, and the value.
        remedy: What to do.
        extra: Further members of the body.
        retry_after_seconds: Sent with 429 and 503.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        remedy: str = "",
        extra: Mapping[str, Any] | None = None,
        retry_after_seconds: int = RETRY_AFTER_SECONDS,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.remedy = remedy
        self.extra = dict(extra or {})
        self.retry_after_seconds = retry_after_seconds


def install_problem_handlers(
    app: FastAPI, metrics: HttpMetrics | None = None, body_limits: Mapping[str, int] | None = None
) -> None:
    """Make every error answer of ``app`` a problem, and bound the bodies it reads.

    Args:
        app: The application.
        metrics: Counts requests, where given.
        body_limits: Bytes by path, where 1 MiB is too little.
    """
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(CommandRefused, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(TransportError, _on_bus_error)
    app.add_exception_handler(BufferFullError, _on_bus_error)
    app.add_middleware(_BugMiddleware)
    app.add_middleware(EdgeMiddleware, metrics=metrics, body_limits=body_limits)  # the last added is the outermost


def problem_response(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for ``problem``."""
    body = {
        "type": f"urn:nautilus:problem:{problem.code}",
        "title": problem.code.replace("-", " ").capitalize(),
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        "code": problem.code,
        "remedy": problem.remedy,
        "correlation_id": getattr(request.state, "correlation_id", ""),
        **problem.extra,
    }
    sent = dict(headers or {})
    if problem.status in (429, 503):
        sent["Retry-After"] = str(problem.retry_after_seconds)
    # ensure_ascii: what a client sent may hold lone surrogates, which UTF-8 cannot carry back.
    return Response(json.dumps(body, ensure_ascii=True, default=str), problem.status, sent, MEDIA_TYPE)


# -- handlers -------------------------------------------------------------------------------------


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(request, error)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, CommandRefused)
    return problem_response(request, Problem(error.status, error.code, error.detail, error.remedy))


async def _on_bus_error(request: Request, error: Exception) -> Response:
    remedy = "nothing is known to have happened; look at /health, then send the request again"
    return problem_response(request, Problem(503, "not-ready", f"the message bus did not answer: {error}", remedy))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, RefusedBody):
        detail = {"loc": ["body"], "message": error.detail, "input": error.found}
        return problem_response(request, Problem(422, "invalid-request", error.detail, extra={"errors": [detail]}))
    status = error.status_code
    code, text, remedy = _CODES.get(status, f"http-{status}"), str(error.detail), ""
    if status == 400 and "parsing the body" in text:
        code, text, remedy = "malformed-json", "the body is not JSON", "send a JSON document in UTF-8"
    elif status == 404 and text == HTTPStatus.NOT_FOUND.phrase:
        text, remedy = f"there is no path {request.url.path}", "see /openapi.json for the paths there are"
    elif status == 405:
        allowed = (error.headers or {}).get("Allow", "")
        text, remedy = f"{request.url.path} does not take {request.method}", f"use {allowed}" if allowed else ""
    return problem_response(request, Problem(status, code, text, remedy), error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = list(error.errors())
    if found and found[0]["type"] == "json_invalid":
        text = f"the body is not JSON: {found[0]['ctx']['error']} at character {found[0]['loc'][-1]}"
        return problem_response(request, Problem(400, "malformed-json", text, "send a JSON document"))
    errors = [_field_error(item) for item in found]
    first = errors[0] if errors else {"loc": ["request"], "message": "invalid"}
    text = f"{'.'.join(str(part) for part in first['loc'])}: {first['message']}"
    if len(errors) > 1:
        text += f" (and {len(errors) - 1} more)"
    return problem_response(request, Problem(422, "invalid-request", text, "see errors", {"errors": errors}))


def _on_bug(request: Request, error: Exception) -> Response:
    correlation_id = getattr(request.state, "correlation_id", "")
    log = structlog.get_logger("http").bind(correlation_id=correlation_id)
    log.error("request_failed", path=request.url.path, method=request.method, exc_info=error)
    text = f"{type(error).__name__} while answering {request.method} {request.url.path}"
    return problem_response(request, Problem(500, "internal-error", text, "this is a bug; the log has the details"))


class _BugMiddleware:
    """The last line before the client: an exception nobody expected is answered, logged and outlived."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = False

        async def answer(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            response = _on_bug(Request(scope), error)
            if answering:
                raise  # half an answer is out; only closing the connection says that it is broken
            await response(scope, receive, send)


def _field_error(item: Mapping[str, Any]) -> dict[str, Any]:
    context = item.get("ctx") or {}
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be", 1)
    result = {"loc": list(item["loc"]), "message": message, "input": _echo(item)}
    bounds = [f"{sign} {context[key]}" for key, sign in _BOUNDS.items() if key in context]
    if "expected" in context:
        result["allowed"] = str(context["expected"])
    elif bounds:
        result["allowed"] = " and ".join(bounds)
    return result


_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def _echo(item: Mapping[str, Any]) -> Any:
    """The input that was refused, cut to size; None where it may be a secret or is a whole body."""
    if item["type"] == "missing" or any(word in str(item["loc"]).lower() for word in _SECRET_WORDS):
        return None
    value = item.get("input")
    if value is None or isinstance(value, bool | int):
        return value if not isinstance(value, int) or abs(value) < 2**63 else repr(value)[:_MAX_ECHO]
    if isinstance(value, str):
        return value[:_MAX_ECHO]
    if isinstance(value, dict | list):
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)[:_MAX_ECHO]
