from __future__ import annotations

import base64
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from fastapi import APIRouter, Request

from libs.clock import TestClock
from libs.engine.auth import AuthMiddleware, Guard, actor_of, ensure_admin, is_loopback, make_guard
from libs.engine.errors import SettingsError
from libs.engine.permissions import permission_for
from libs.engine.problems import Problem
from libs.engine.settings import ProcessSettings
from libs.engine.tokens import ACCESS_SECONDS, Principal, TokenError, Tokens, load_secret
from libs.engine.users import AuthError, UserStore
from libs.testing.surface import Surface

NOW = 1_700_000_000
SECRET = "s" * 40


def tokens(now: int = NOW) -> tuple[Tokens, TestClock]:
    clock = TestClock(now * 1_000_000_000)
    return Tokens(SECRET, clock), clock


def bearer(issuer: Tokens, role: str, **more: bool) -> str:
    return "Bearer " + issuer.issue("access", Principal("ann", (role,), "f", **more))[0]


# -- tokens ---------------------------------------------------------------------------------------


def test_an_access_token_lasts_thirty_minutes_of_the_injected_clock() -> None:
    issuer, clock = tokens()
    text, _, expires = issuer.issue("access", Principal("ann", ("trader",), "f"))
    assert expires == NOW + 1800
    clock.advance_time((ACCESS_SECONDS - 1) * 1_000_000_000)
    assert issuer.verify(text) == Principal("ann", ("trader",), "f", expires=expires)
    clock.advance_time(1_000_000_000)
    with pytest.raises(TokenError) as caught:
        issuer.verify(text)
    assert caught.value.code == "token-expired"


def test_the_claims_are_those_of_the_surface_and_readable_by_any_jwt_library() -> None:
    issuer, _ = tokens()
    text, _, _ = issuer.issue("access", Principal("ann", ("viewer",)))
    claims = jwt.decode(text, SECRET, algorithms=["HS256"], options={"verify_exp": False})
    assert {"sub", "exp", "iat", "jti", "type", "roles"} <= claims.keys()


def forged(header: dict[str, str], claims: dict[str, object]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join((*parts, ""))


CLAIMS = {"sub": "eve", "iat": NOW, "exp": NOW + 60, "jti": "1", "type": "access", "roles": ["admin"]}


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "a.b.c", forged({"alg": "none", "typ": "JWT"}, CLAIMS),
        jwt.encode(CLAIMS, "another secret" * 4, algorithm="HS256"),
        jwt.encode(CLAIMS, SECRET * 2, algorithm="HS512"),
        jwt.encode({"sub": "eve", "type": "access"}, SECRET, algorithm="HS256"),
        jwt.encode({**CLAIMS, "type": "refresh"}, SECRET, algorithm="HS256"),
    ],
    ids=["empty", "word", "dots", "alg none", "other secret", "other algorithm", "claims missing", "refresh as access"],
)  # fmt: skip
def test_what_proves_nothing_is_refused(text: str) -> None:
    issuer, _ = tokens()
    with pytest.raises(TokenError) as caught:
        issuer.verify(text)
    assert caught.value.code == "token-invalid"


# -- the secret -----------------------------------------------------------------------------------


def test_the_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: load_secret(None, tmp_path / "var"), range(16)))
    assert len(found) == 1
    assert len(found.pop()) >= 32
    assert stat.S_IMODE((tmp_path / "var" / "jwt.secret").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "var") == ["jwt.secret"]


def test_a_secret_others_can_read_and_a_short_one_stop_the_start(tmp_path: Path) -> None:
    load_secret(None, tmp_path)
    (tmp_path / "jwt.secret").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_secret(None, tmp_path)
    with pytest.raises(SettingsError, match="at least 32"):
        Tokens("short", TestClock(0))


# -- users ----------------------------------------------------------------------------------------


def test_the_first_password_is_told_once_and_must_be_changed(tmp_path: Path) -> None:
    password = ensure_admin(tmp_path)
    assert password is not None
    assert ensure_admin(tmp_path) is None
    assert password not in (tmp_path / "auth.json").read_text()
    assert "$argon2id$" in (tmp_path / "auth.json").read_text()
    assert stat.S_IMODE((tmp_path / "auth.json").stat().st_mode) == 0o600
    admin = UserStore(tmp_path).check_password("admin", password)
    assert (admin.roles, admin.must_change) == (("admin",), True)
    UserStore(tmp_path).set_password("admin", password, "a much better one")
    assert not UserStore(tmp_path).check_password("admin", "a much better one").must_change


@pytest.mark.parametrize(
    ("current", "new", "code"),
    [
        ("wrong", "long enough now", "login-failed"),
        ("the first one", "short", "password-too-short"),
        ("the first one", "the first one", "password-unchanged"),
    ],
)
def test_a_password_change_is_refused(tmp_path: Path, current: str, new: str, code: str) -> None:
    store = UserStore(tmp_path)
    store.add("ann", "the first one", ["viewer"])
    with pytest.raises(AuthError) as caught:
        store.set_password("ann", current, new)
    assert caught.value.code == code
    assert UserStore(tmp_path).check_password("ann", "the first one").name == "ann"


def test_an_unknown_user_and_a_wrong_password_are_told_apart_by_nobody(tmp_path: Path) -> None:
    store = UserStore(tmp_path)
    store.add("ann", "the first one", ["viewer"])
    texts = []
    for name, password in (("ann", "wrong"), ("bob", "the first one")):
        with pytest.raises(AuthError) as caught:
            store.check_password(name, password)
        texts.append((caught.value.code, str(caught.value)))
    assert texts[0] == texts[1]


def test_a_refresh_token_used_twice_ends_its_login_and_only_its_login(tmp_path: Path) -> None:
    store = UserStore(tmp_path)
    store.add("ann", "the first one", ["viewer"])
    first, other = store.check_password("ann", "the first one"), store.check_password("ann", "the first one")
    store.open_family(first, "t1", NOW + 100, NOW)
    store.open_family(other, "o1", NOW + 100, NOW)
    assert store.use_refresh(first, "t1").name == "ann"
    store.open_family(first, "t2", NOW + 100, NOW)
    again = UserStore(tmp_path)  # as after a restart
    with pytest.raises(AuthError) as caught:
        again.use_refresh(first, "t1")
    assert caught.value.code == "token-reused"
    with pytest.raises(AuthError):
        again.use_refresh(first, "t2")
    assert again.use_refresh(other, "o1").name == "ann"


# -- the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/health", None), ("GET", "/health/live", None), ("GET", "/metrics", None), ("GET", "/", None),
        ("POST", "/api/v1/auth/login", None), ("GET", "/status", "read:system"), ("POST", "/health", "execute:trades"),
        ("POST", "/control/halt", "control:halt"), ("POST", "/api/v1/engines/risk/control/halt", "control:halt"),
        ("POST", "/control/resume", "admin:all"), ("POST", "/api/v1/risk/halt", "control:halt"),
        ("POST", "/api/v1/dlq/5-0.0/retry", "admin:all"), ("GET", "/api/v1/dlq", "read:system"),
        ("POST", "/orders", "write:orders"), ("DELETE", "/api/v1/orders/1", "write:orders"),
        ("PUT", "/risk/limits/x", "write:limits"), ("POST", "/features/calculate/A", "run:jobs"),
        ("POST", "/api/v1/engines/collateral/api/v1/collateral/margin/calculate", "run:jobs"),
        ("POST", "/nobody/thought/of/this", "execute:trades"), ("POST", "/healthy", "execute:trades"),
    ],
)  # fmt: skip
def test_what_a_request_needs(method: str, path: str, permission: str | None) -> None:
    assert permission_for(method, path) == permission


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        (None, "GET", "/status", 200), (None, "POST", "/orders", 401), ("viewer", "POST", "/orders", 403),
        ("analyst", "POST", "/orders", 403), ("analyst", "POST", "/features/calculate/A", 200),
        ("trader", "POST", "/orders", 200), ("trader", "POST", "/control/resume", 403),
        ("trader", "POST", "/control/halt", 200), ("admin", "POST", "/control/resume", 200),
        ("nobody", "GET", "/status", 403),
    ],
)  # fmt: skip
def test_who_may_what(role: str | None, method: str, path: str, status: int) -> None:
    issuer, _ = tokens()
    guard = Guard(issuer)
    try:
        guard.admit(method, path, bearer(issuer, role) if role else "")
        found = 200
    except Problem as problem:
        found = problem.status
    assert found == status


def test_strict_asks_for_a_token_for_reads_and_leaves_health_open() -> None:
    issuer, _ = tokens()
    guard = Guard(issuer, reads_open=False)
    guard.admit("GET", "/health", "")
    with pytest.raises(Problem, match="needs a token"):
        guard.admit("GET", "/status", "")
    assert guard.admit("GET", "/status", bearer(issuer, "viewer")).name == "ann"


def test_the_first_password_may_halt_and_read_and_nothing_else() -> None:
    issuer, _ = tokens()
    guard, header = Guard(issuer), bearer(issuer, "admin", must_change=True)
    guard.admit("GET", "/orders", header)
    guard.admit("POST", "/risk/halt", header)
    guard.admit("POST", "/api/v1/auth/password", header)
    with pytest.raises(Problem) as caught:
        guard.admit("POST", "/orders", header)
    assert caught.value.code == "password-change-required"


def test_a_revoked_login_passes_no_more() -> None:
    issuer, _ = tokens()
    guard = Guard(issuer, is_revoked=lambda principal: principal.family == "f")
    with pytest.raises(Problem, match="ended"):
        guard.admit("GET", "/status", bearer(issuer, "admin"))


def test_off_is_for_loopback_only(tmp_path: Path) -> None:
    settings = ProcessSettings(auth="off", data_dir=tmp_path)
    assert make_guard(settings, "127.0.0.1", TestClock(0)).admit("POST", "/orders", "").name == "local"
    with pytest.raises(SettingsError, match="where others can connect"):
        make_guard(settings, "0.0.0.0", TestClock(0))


def test_the_gateway_opens_reads_on_loopback_only(tmp_path: Path) -> None:
    settings = ProcessSettings(data_dir=tmp_path)
    assert make_guard(settings, "127.0.0.1", TestClock(0), reads_need_loopback=True).reads_open
    assert not make_guard(settings, "0.0.0.0", TestClock(0), reads_need_loopback=True).reads_open
    assert make_guard(settings, "0.0.0.0", TestClock(0)).reads_open


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("db", False)]
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_the_middleware_answers_problems_and_names_the_actor() -> None:
    routes = APIRouter()

    @routes.post("/orders")
    async def order(request: Request) -> dict[str, str]:
        return {"actor": actor_of(request)}

    issuer, _ = tokens()
    surface = Surface(routes)
    surface.app.add_middleware(AuthMiddleware, guard=Guard(issuer))
    refused = surface.call("POST", "/orders", {})
    assert (refused.status, refused.body["code"]) == (401, "token-missing")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.headers["content-type"] == "application/problem+json"
