"""Every error answer is a problem document, whatever was sent."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from structlog.testing import capture_logs

from libs.engine.edge import MAX_BODY_BYTES
from libs.engine.errors import CommandRefused
from libs.engine.problems import Problem, install_problem_handlers
from libs.messagebus.errors import TransportError


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: str
    quantity: float = Field(gt=0)
    tags: dict[str, Any] = {}


def _app() -> FastAPI:
    app = FastAPI()
    install_problem_handlers(app, body_limits={"/bulk": 2 * MAX_BODY_BYTES})

    @app.post("/orders")
    async def place(order: _Order) -> dict[str, str]:
        return {"symbol": order.symbol}

    @app.post("/bulk")
    async def bulk(rows: list[int]) -> int:
        return len(rows)

    @app.get("/fail/{kind}")
    async def fail(kind: str) -> None:
        raise {
            "problem": Problem(409, "stale-input", "price of X is 9 s old", "wait for a quote", {"age_seconds": 9}),
            "refused": CommandRefused(409, "halted", "trading is halted", "resume first"),
            "busy": Problem(429, "rate-limited", "too many requests", retry_after_seconds=7),
            "bus": TransportError("connection refused"),
            "bug": ZeroDivisionError("secret-in-the-text"),
        }[kind]

    return app


def _request(method: str, path: str, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def _json(body: bytes | str, path: str = "/orders") -> httpx.Response:
    return _request("POST", path, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "malformed-json"),
        (b'{"symbol": "\xff"}', 400, "malformed-json"),
        ("[" * 100_000, 400, "malformed-json"),
        ("1" * 5000, 400, "malformed-json"),
        ("", 422, "invalid-request"),
        ("{}", 422, "invalid-request"),
        ('{"symbol": "A", "quantity": 0}', 422, "invalid-request"),
        ('{"symbol": "A", "quantity": 1, "price": 2}', 422, "invalid-request"),
        ('{"symbol": "A", "quantity": NaN}', 422, "invalid-request"),
        ('{"symbol": "A", "quantity": 1e999}', 422, "invalid-request"),
        ('{"symbol": "A", "quantity": 1, "tags": {"x": -Infinity}}', 422, "invalid-request"),
        ('{"symbol": "\\ud800", "quantity": 1}', 422, "invalid-request"),
        ('{"symbol": "%s", "quantity": 1}' % ("A" * MAX_BODY_BYTES), 413, "body-too-large"),
    ],
)
def test_a_bad_body_is_named_and_never_a_500(body: bytes | str, status: int, code: str) -> None:
    answer = _json(body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["correlation_id"] == answer.headers["X-Correlation-Id"]


def test_a_path_may_take_more_than_a_mebibyte() -> None:
    rows = "[" + ",".join(["1"] * (MAX_BODY_BYTES // 2 + 10)) + "]"
    assert len(rows) > MAX_BODY_BYTES
    assert _json(rows, "/bulk").status_code == 200


def test_words_that_look_like_numbers_pass() -> None:
    assert _json('{"symbol": "NaN.Infinity", "quantity": 1e300}').status_code == 200


def test_a_validation_error_says_where_what_and_what_is_allowed() -> None:
    answer = _json('{"symbol": "A", "quantity": -5}').json()
    assert answer["errors"] == [
        {"loc": ["body", "quantity"], "message": "must be greater than 0", "input": -5, "allowed": "> 0.0"}
    ]
    assert answer["detail"] == "body.quantity: must be greater than 0"


def test_a_refused_number_is_echoed_as_it_was_written() -> None:
    assert _json('{"symbol": "A", "quantity": NaN}').json()["errors"][0]["input"] == "NaN"


def test_secrets_are_not_echoed() -> None:
    answer = _json('{"symbol": "A", "quantity": 1, "api_key": "hunter2"}')
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


def test_unknown_path_and_method() -> None:
    assert _request("GET", "/nowhere").json()["detail"] == "there is no path /nowhere"
    answer = _request("DELETE", "/orders")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["code"] == "method-not-allowed"


def test_problem_members() -> None:
    answer = _request("GET", "/fail/problem", headers={"X-Correlation-Id": "abc-1"})
    assert answer.json() == {
        "type": "urn:nautilus:problem:stale-input",
        "title": "Stale input",
        "status": 409,
        "detail": "price of X is 9 s old",
        "instance": "/fail/problem",
        "code": "stale-input",
        "remedy": "wait for a quote",
        "correlation_id": "abc-1",
        "age_seconds": 9,
    }


def test_refusals_and_bus_errors_have_their_status() -> None:
    assert _request("GET", "/fail/refused").json()["code"] == "halted"
    bus = _request("GET", "/fail/bus")
    assert (bus.status_code, bus.json()["code"], bus.headers["retry-after"]) == (503, "not-ready", "2")
    assert _request("GET", "/fail/busy").headers["retry-after"] == "7"


def test_a_bug_answers_500_without_a_trace_and_is_logged_with_the_correlation_id() -> None:
    with capture_logs() as lines:
        answer = _request("GET", "/fail/bug", headers={"X-Correlation-Id": "trace-me"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "Traceback" not in answer.text
    assert "secret-in-the-text" not in answer.text
    assert [line["event"] for line in lines] == ["request_failed"]
    assert lines[0]["correlation_id"] == "trace-me"


def test_a_correlation_id_that_could_forge_a_log_line_is_replaced() -> None:
    answer = _request("GET", "/nowhere", headers={"X-Correlation-Id": "a b=c"})
    assert answer.json()["correlation_id"].startswith("http:")
