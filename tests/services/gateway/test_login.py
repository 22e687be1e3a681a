"""Logging in, going on, and out: over HTTP, on the real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from libs.engine.users import UserStore
from tests.services.gateway.upstreams import gateway
from tests.services.websocket.running import Running

PASSWORD = "correct horse battery"


def run(tmp_path: Path, scenario: Callable[[Running], Coroutine[Any, Any, None]], **options: Any) -> None:
    users = UserStore(tmp_path)
    users.add("ann", PASSWORD, ["trader"])
    users.add("root", PASSWORD, ["admin"], must_change=True)

    async def inside() -> None:
        async with gateway(tmp_path, **options) as (here, _):
            await scenario(here)

    asyncio.run(inside())


async def login(here: Running, name: str = "ann", password: str = PASSWORD) -> tuple[int, Any]:
    return await here.ask("POST", "gateway", "/api/v1/auth/login", json={"username": name, "password": password})


def header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_login_lets_write_until_it_is_ended(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        status, found = await login(here)
        assert (status, found["expires_in"], found["roles"], found["token_type"]) == (200, 1800, ["trader"], "bearer")
        mine = header(found["access_token"])
        assert (await here.ask("POST", "gateway", "/api/v1/orders", json={}, headers=mine))[0] == 200
        _, me = await here.ask("GET", "gateway", "/api/v1/auth/me", headers=mine)
        assert (me["user"], me["authenticated"]) == ("ann", True)
        assert "control:halt" in me["permissions"]
        assert (await here.ask("POST", "gateway", "/api/v1/auth/logout", headers=mine))[0] == 200
        status, body = await here.ask("POST", "gateway", "/api/v1/orders", json={}, headers=mine)
        assert (status, body["code"]) == (401, "token-revoked")

    run(tmp_path, scenario)


def test_the_refresh_cookie_is_out_of_scripts_reach_and_a_stolen_token_ends_the_login(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        url = here.url("gateway", "/api/v1/auth/login")
        async with here.http.post(url, json={"username": "ann", "password": PASSWORD}) as answer:
            cookie = answer.headers["Set-Cookie"].lower()
            first = (await answer.json())["refresh_token"]
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/api/v1/auth" in cookie
        where = ("POST", "gateway", "/api/v1/auth/refresh")
        status, second = await here.ask(*where, json={"refresh_token": first})
        assert status == 200
        assert second["refresh_token"] != first
        status, body = await here.ask(*where, json={"refresh_token": first})
        assert (status, body["code"]) == (401, "token-reused")
        status, body = await here.ask(*where, json={"refresh_token": second["refresh_token"]})
        assert (status, body["code"]) == (401, "token-revoked")
        status, _ = await here.ask("POST", "gateway", "/api/v1/orders", json={}, headers=header(second["access_token"]))
        assert status == 401

    run(tmp_path, scenario)


def test_a_wrong_password_is_refused_and_the_sixth_attempt_in_a_minute_is_not_looked_at(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        found = [await login(here, password="wrong") for _ in range(5)]
        assert {(status, body["code"]) for status, body in found} == {(401, "login-failed")}
        status, body = await login(here)
        assert (status, body["code"]) == (429, "rate-limited")
        assert (await login(here, name="nobody"))[0] == 401

    run(tmp_path, scenario)


def test_the_first_password_must_be_changed_before_anything_but_halting(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        _, found = await login(here, "root")
        assert found["password_change_required"] is True
        mine = header(found["access_token"])
        status, body = await here.ask("POST", "gateway", "/api/v1/orders", json={}, headers=mine)
        assert (status, body["code"]) == (403, "password-change-required")
        assert (await here.ask("POST", "gateway", "/api/v1/risk/halt", json={}, headers=mine))[0] == 200
        where = ("POST", "gateway", "/api/v1/auth/password")
        short = {"current_password": PASSWORD, "new_password": "short"}
        assert (await here.ask(*where, json=short, headers=mine))[0] == 422
        good = {"current_password": PASSWORD, "new_password": "another long password"}
        assert (await here.ask(*where, json=good, headers=mine))[0] == 200
        assert (await here.ask(*where, json=good, headers=mine))[0] == 401  # every login ended with the change
        assert (await login(here, "root"))[0] == 401
        _, found = await login(here, "root", "another long password")
        mine = header(found["access_token"])
        assert (await here.ask("POST", "gateway", "/api/v1/orders", json={}, headers=mine))[0] == 200

    run(tmp_path, scenario)


def test_a_strict_gateway_shows_nothing_but_its_health_without_a_token(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        assert (await here.ask("GET", "gateway", "/api/v1/orders"))[0] == 401
        assert (await here.ask("GET", "gateway", "/api/v1/fleet"))[0] == 401
        assert (await here.ask("GET", "gateway", "/health/live"))[0] == 200
        assert (await here.ask("GET", "gateway", "/"))[0] == 200
        _, found = await login(here)
        mine = header(found["access_token"])
        assert (await here.ask("GET", "gateway", "/api/v1/orders", headers=mine))[0] == 200

    run(tmp_path, scenario, process={"auth": "strict"})


def test_without_authentication_there_is_nothing_to_log_in_to(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        assert (await here.ask("POST", "gateway", "/api/v1/orders", json={}))[0] == 200
        status, body = await login(here)
        assert (status, body["code"]) == (409, "auth-off")

    run(tmp_path, scenario, process={"auth": "off"})
