"""Logging in and out: the only place that knows passwords."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Cookie, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.engine.auth import principal_of
from libs.engine.permissions import PERMISSIONS
from libs.engine.problems import Problem
from libs.engine.tokens import ACCESS_SECONDS, REFRESH_SECONDS, Principal, TokenError, Tokens
from libs.engine.users import AuthError, UserStore
from services.gateway.limiter import RateLimiter
from services.gateway.settings import GatewaySettings

COOKIE: Final = "nautilus_refresh"
_PATH: Final = "/api/v1/auth"
_NS: Final = 1_000_000_000
_STATUS: Final = {"password-too-short": 422, "password-unchanged": 422, "duplicate": 409}


class Login(BaseModel):
    """Who logs in."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(min_length=1, max_length=100)
    password: SecretStr = Field(min_length=1, max_length=1_000)


class Refresh(BaseModel):
    """A refresh token, where it does not come as a cookie."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: SecretStr | None = None


class NewPassword(BaseModel):
    """A change of password."""

    model_config = ConfigDict(extra="forbid")

    current_password: SecretStr = Field(min_length=1, max_length=1_000)
    new_password: SecretStr = Field(min_length=1, max_length=1_000)


class Desk:
    """Issues and renews logins.

    Args:
        users: Who there is.
        tokens: None where authentication is off.
    """

    def __init__(self, users: UserStore, tokens: Tokens | None, clock: Clock, settings: GatewaySettings) -> None:
        self.users = users
        self._tokens = tokens
        self._clock = clock
        self._by_user = RateLimiter(settings.logins_per_minute_user, 60)
        self._by_address = RateLimiter(settings.logins_per_minute_address, 60)
        self._writing = asyncio.Lock()

    @property
    def tokens(self) -> Tokens:
        """Signs and verifies.

        Raises:
            Problem: 409 where authentication is off.
        """
        if self._tokens is None:
            raise Problem(409, "auth-off", "authentication is off, so there is nothing to log in to", "just go on")
        return self._tokens

    def limit(self, name: str, address: str) -> None:
        """Count an attempt.

        Raises:
            Problem: 429 after too many for this name or from this address.
        """
        now = monotonic_ns()
        for limiter, who in ((self._by_address, address), (self._by_user, name)):
            if not limiter.admit(who, now):
                raise Problem(
                    429, "rate-limited", "too many attempts to log in", "wait; see Retry-After",
                    retry_after_seconds=limiter.retry_after_seconds(who, now),
                )  # fmt: skip

    async def check(self, name: str, password: str) -> Principal:
        """Who this is; the hash is computed beside the event loop.

        Raises:
            Problem: 401 if name and password do not belong together.
        """
        try:
            return await asyncio.to_thread(self.users.check_password, name, password)
        except AuthError as error:
            raise Problem(401, error.code, str(error), "check both; an administrator can set a new one") from None

    def open(self, principal: Principal, request: Request, response: Response) -> dict[str, Any]:
        """Issue both tokens of a login, the refresh token also as a cookie no script can read."""
        access, _, _ = self.tokens.issue("access", principal)
        refresh, token_id, expires = self.tokens.issue("refresh", principal)
        self.users.open_family(principal, token_id, expires, self._clock.timestamp_ns() // _NS)
        response.set_cookie(
            COOKIE, refresh, max_age=REFRESH_SECONDS, path=_PATH, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return {
            "access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": ACCESS_SECONDS,
            "user": principal.name, "roles": list(principal.roles), "password_change_required": principal.must_change,
        }  # fmt: skip

    def renew(self, text: str, request: Request, response: Response) -> dict[str, Any]:
        """Exchange a refresh token.

        Raises:
            Problem: 401 if it counts no more.
        """
        try:
            principal, token_id = self.tokens.verify_with_id(text, "refresh")
            return self.open(self.users.use_refresh(principal, token_id), request, response)
        except (TokenError, AuthError) as error:
            raise Problem(401, error.code, str(error), "log in again") from None

    async def change_password(self, name: str, current: str, new: str) -> None:
        """Set a password; every login of the user ends.

        Raises:
            Problem: 401 or 422 if it is refused.
        """
        async with self._writing:
            try:
                await asyncio.to_thread(self.users.set_password, name, current, new)
            except AuthError as error:
                status = _STATUS.get(error.code, 401)
                raise Problem(status, error.code, str(error), "send the current and a long new one") from None


def auth_router(desk: Desk) -> APIRouter:
    """Routes under ``/api/v1/auth``."""
    routes = APIRouter(prefix=_PATH, tags=["auth"])

    @routes.post("/login")
    async def login(body: Login, request: Request, response: Response) -> dict[str, Any]:
        """Exchange name and password for tokens."""
        assert desk.tokens is not None
        desk.limit(body.username, request.client.host if request.client else "")
        return desk.open(await desk.check(body.username, body.password.get_secret_value()), request, response)

    @routes.post("/refresh")
    async def refresh(
        request: Request,
        response: Response,
        body: Refresh | None = None,
        nautilus_refresh: Annotated[str | None, Cookie()] = None,
    ) -> dict[str, Any]:
        """Exchange a refresh token, which then counts no more; a second use of one ends the login."""
        given = body.refresh_token.get_secret_value() if body and body.refresh_token else nautilus_refresh
        if not given:
            raise Problem(401, "token-missing", "no refresh token came, in body or cookie", "log in")
        return desk.renew(given, request, response)

    @routes.post("/logout")
    async def logout(request: Request, response: Response) -> dict[str, Any]:
        """End this login: its refresh token at once everywhere, its access token at the gateway at once."""
        principal = principal_of(request)
        desk.users.close_family(principal.family)
        response.delete_cookie(COOKIE, path=_PATH)
        return {"logged_out": True, "user": principal.name}

    @routes.get("/me")
    async def me(request: Request) -> dict[str, Any]:
        """Who asks, and what they may."""
        principal = principal_of(request)
        permissions = sorted(set().union(*(PERMISSIONS.get(role, frozenset()) for role in principal.roles)))
        return {
            "user": principal.name, "roles": list(principal.roles), "permissions": permissions,
            "authenticated": principal.name != "anonymous", "password_change_required": principal.must_change,
        }  # fmt: skip

    @routes.post("/password")
    async def password(body: NewPassword, request: Request) -> dict[str, Any]:
        """Change one's own password; log in again afterwards."""
        principal = principal_of(request)
        desk.limit(principal.name, request.client.host if request.client else "")
        await desk.change_password(
            principal.name, body.current_password.get_secret_value(), body.new_password.get_secret_value()
        )
        return {"changed": True, "user": principal.name}

    return routes
