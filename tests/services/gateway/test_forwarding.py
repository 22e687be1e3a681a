"""The gateway over real servers: what is passed on, what is told when it cannot be, who may."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from libs.contracts.fleet import ENGINES
from libs.engine.tokens import Principal, Tokens, load_secret
from tests.services.gateway.upstreams import HEALTHY, gateway
from tests.services.websocket.running import Running


def bearer(here: Running, data_dir: Path, role: str) -> dict[str, str]:
    tokens = Tokens(load_secret(None, data_dir), here.process.parts.clock)
    return {"Authorization": f"Bearer {tokens.issue('access', Principal('ann', (role,)))[0]}"}


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.02)


def test_a_request_arrives_as_it_was_sent_and_its_answer_comes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path) as (here, engines):
            headers = {
                **bearer(here, tmp_path, "trader"), "Idempotency-Key": "k-1", "X-Correlation-Id": "c-1",
                "Cookie": "nautilus_refresh=secret", "X-Forwarded-Host": "evil",
            }  # fmt: skip
            url = here.url("gateway", "/api/v1/orders?dry=1&name=a%2Fb")
            async with here.http.post(URL(url, encoded=True), json={"symbol": "A"}, headers=headers) as answer:
                assert (answer.status, answer.headers["Location"]) == (200, "/x")
                assert "Set-Cookie" not in answer.headers
                assert answer.headers["X-Correlation-Id"] == "c-1"
                assert (await answer.json())["engine"] == "strategy"
            method, path, received, body = engines.requests[-1]
            assert (method, path, body) == ("POST", "/orders?dry=1&name=a%2Fb", b'{"symbol": "A"}')
            assert received["idempotency-key"] == "k-1"
            assert received["x-correlation-id"] == "c-1"
            assert received["authorization"] == headers["Authorization"]
            assert "cookie" not in received
            assert "x-forwarded-host" not in received

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [404, 409, 422, 500, 501, 503])
def test_an_engine_s_own_refusal_is_passed_on(tmp_path: Path, status: int) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path) as (here, engines):
            engines.answer_status = status
            found, body = await here.ask("GET", "gateway", "/api/v1/risk/limits")
            assert (found, body["engine"]) == (status, "risk")

    asyncio.run(scenario())


def test_what_fails_on_the_way_is_a_problem_that_names_the_engine(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, up=("risk", "portfolio")) as (here, engines):
            status, body = await here.ask("GET", "gateway", "/api/v1/features/available")
            assert (status, body["code"], body["engine"]) == (503, "engine-unreachable", "features")
            with pytest.raises(aiohttp.ClientPayloadError):
                await here.ask("GET", "gateway", "/api/v1/risk/breaks-off")
            status, body = await here.ask("GET", "gateway", "/api/v1/nobody/answers")
            assert (status, body["code"]) == (404, "not-found")
            assert len(engines.requests) == 1

    asyncio.run(scenario())


def test_an_engine_that_is_silent_is_told_as_slow_and_then_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.gateway import breaker
    from services.gateway.adapters import upstream

    limits = {**breaker.LIMITS, "risk": breaker.BreakerLimits(2, 60, 0.1)}
    monkeypatch.setattr(upstream, "LIMITS", limits)

    async def scenario() -> None:
        async with gateway(tmp_path) as (here, engines):
            for _ in range(2):
                status, body = await here.ask("GET", "gateway", "/api/v1/risk/hangs")
                assert (status, body["code"]) == (504, "upstream-slow")
            seen = len(engines.requests)
            async with here.http.get(here.url("gateway", "/api/v1/risk/limits")) as answer:
                assert (answer.status, (await answer.json())["code"]) == (503, "circuit-open")
                assert 58 <= int(answer.headers["Retry-After"]) <= 61
            assert len(engines.requests) == seen
            _, metrics = await here.ask("GET", "gateway", "/metrics")
            assert 'nautilus_gateway_breaker_state{upstream="risk"} 2.0' in metrics

            async def shown() -> bool:
                _, fleet = await here.ask("GET", "gateway", "/api/v1/fleet")
                row = next(one for one in fleet["engines"] if one["engine"] == "risk")
                return bool(row["breaker"] == "open" and row["state"] == "healthy")

            await until(shown)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        (None, "GET", "/api/v1/orders", 200), (None, "POST", "/api/v1/orders", 401),
        ("viewer", "POST", "/api/v1/orders", 403), ("trader", "POST", "/api/v1/orders", 200),
        ("trader", "POST", "/api/v1/engines/strategy/control/pause", 403),
        ("admin", "POST", "/api/v1/engines/strategy/control/pause", 200), ("trader", "POST", "/api/v1/risk/halt", 200),
    ],
)  # fmt: skip
def test_writes_need_the_permission_and_do_not_reach_the_engine_without(
    tmp_path: Path, role: str | None, method: str, path: str, status: int
) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path) as (here, engines):
            headers = bearer(here, tmp_path, role) if role else {}
            found, _ = await here.ask(method, "gateway", path, json={}, headers=headers)
            assert (found, len(engines.requests)) == (status, int(status == 200))

    asyncio.run(scenario())


def test_a_body_over_a_mebibyte_is_refused_and_too_many_writes_are(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, writes_per_second=2) as (here, engines):
            headers = bearer(here, tmp_path, "trader")
            status, body = await here.ask(
                "POST", "gateway", "/api/v1/orders", data=BytesIO(b"x" * (1024 * 1024 + 1)), headers=headers
            )
            assert (status, body["code"]) == (413, "body-too-large")
            statuses = [
                (await here.ask("POST", "gateway", "/api/v1/orders", json={}, headers=headers))[0] for _ in range(4)
            ]
            assert 429 in statuses
            assert len(engines.requests) == statuses.count(200)

    asyncio.run(scenario())


# -- health -----------------------------------------------------------------------------------------


def test_health_names_every_required_engine_that_is_not_well_and_nobody_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        up = tuple(name for name in ENGINES if name != "ml")
        required = tuple(name for name in ENGINES if name != "factor")
        async with gateway(tmp_path, up=up, required=required) as (here, engines):
            engines.status["risk"] = {**HEALTHY, "status": "degraded", "degraded_reasons": ["input x is 40 s old"]}
            engines.status["portfolio"] = None
            engines.status["factor"] = {**HEALTHY, "status": "degraded"}
            status, body = await here.ask("GET", "gateway", "/health/comprehensive")
            assert (status, body["failing"]) == (503, ["ml", "portfolio", "risk"])
            rows = {row["engine"]: row for row in body["engines"]}
            assert (rows["risk"]["state"], rows["risk"]["reason"]) == ("degraded", "input x is 40 s old")
            assert (rows["portfolio"]["state"], rows["ml"]["state"]) == ("unreachable", "unreachable")
            assert rows["portfolio"]["reason"] == "no answer within 0.3 s"
            assert "does not listen" in rows["ml"]["reason"]
            healthy = rows["features"]
            assert (healthy["state"], healthy["epoch"], healthy["version"]) == ("healthy", 3, "0.1.0")
            assert (healthy["last_event_topic"], healthy["last_event_age_seconds"]) == ("b", 1.5)
            status, body = await here.ask("GET", "gateway", "/health")
            assert status == 503
            said = " | ".join(body["degraded_reasons"])
            assert "engine risk is degraded: input x is 40 s old" in said
            assert "engine ml is unreachable" in said
            assert "factor" not in said
            assert "websocket" not in said
            engines.status["portfolio"] = dict(HEALTHY)
            status, body = await here.ask("GET", "gateway", "/api/v1/status")
            assert (status, body["status"]) == (200, "degraded")

    asyncio.run(scenario())


def test_when_all_is_well_health_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path) as (here, _):
            assert (await here.ask("GET", "gateway", "/health/comprehensive"))[0] == 200
            status, body = await here.ask("GET", "gateway", "/health")
            assert (status, body["degraded_reasons"]) == (200, [])
            assert (await here.ask("GET", "gateway", "/health/risk"))[0] == 200
            assert (await here.ask("GET", "gateway", "/health/nobody"))[0] == 404

    asyncio.run(scenario())


# -- websocket --------------------------------------------------------------------------------------


def test_without_a_websocket_engine_an_upgrade_is_a_problem(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, up=()) as (here, _):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await here.http.ws_connect(here.url("gateway", "/ws"))
            assert caught.value.status == 503

    asyncio.run(scenario())


def test_the_page_is_served_with_a_policy_and_nothing_beside_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path) as (here, _):
            async with here.http.get(here.url("gateway", "/")) as answer:
                assert answer.content_type == "text/html"
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "http" not in policy
                text = await answer.text()
            assert "<script>" not in text
            assert "style=" not in text
            for path in ("main.js", "style.css", "vendor/uPlot.LICENSE", "settings.json"):
                assert (await here.ask("GET", "gateway", f"/console/{path}"))[0] == 200
            for path in ("../settings.py", "..%2fsettings.py", "nothing.js"):
                assert (await here.ask("GET", "gateway", f"/console/{path}"))[0] == 404

    asyncio.run(scenario())
