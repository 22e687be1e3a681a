"""The door of an HTTP surface: who asks, and whether they may.

``NAUTILUS_AUTH=on`` (the default) asks for a token for every request that changes something; reads are open. ``strict``
asks for reads too. ``off`` asks for nothing and is refused unless the surface listens on loopback. Health, metrics,
the API description, login and refresh are open always. Tokens are issued by the gateway (``POST /api/v1/auth/login``)
and checked here, by every engine itself, so a surface reached past the gateway is no way round.

Put :class:`AuthMiddleware` inside the problem handlers' edge::

    app.add_middleware(AuthMiddleware, guard=make_guard(process, host, clock))
    install_problem_handlers(app)
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.clock import Clock
from libs.engine.errors import SettingsError
from libs.engine.permissions import is_read, permission_for
from libs.engine.problems import Problem, problem_response
from libs.engine.settings import ProcessSettings
from libs.engine.tokens import ANONYMOUS, LOCAL, Principal, TokenError, Tokens, load_secret
from libs.engine.users import ensure_admin

__all__ = [
    "TOKEN_REQUIRED_HEADER",
    "AuthMiddleware",
    "Guard",
    "actor_of",
    "ensure_admin",
    "is_loopback",
    "make_guard",
    "principal_of",
]

#: Sent to the websocket engine by a gateway whose clients must show a token; it can only ask for more, never for less.
TOKEN_REQUIRED_HEADER: Final = "X-Nautilus-Token-Required"

_LOGIN: Final = "log in with POST /api/v1/auth/login on the gateway and send Authorization: Bearer <access_token>"


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides who a request is from and whether it may pass.

    Attributes:
        tokens: None where authentication is off.
        reads_open: Whether a read needs no token.
        is_revoked: Whether the login a token descends from has been ended; known to the gateway only.
    """

    tokens: Tokens | None
    reads_open: bool = True
    is_revoked: Callable[[Principal], bool] = lambda _: False

    def identify(self, authorization: str) -> Principal | None:
        """Who sent this ``Authorization`` header; None without one.

        Raises:
            Problem: 401 if it proves nothing.
        """
        if self.tokens is None:
            return LOCAL
        if not authorization:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Problem(401, "token-missing", "Authorization must be 'Bearer <token>'", _LOGIN)
        return self.identify_token(token.strip())

    def identify_token(self, token: str) -> Principal:
        """Who holds this access token.

        Raises:
            Problem: 401 if it proves nothing.
        """
        if self.tokens is None:
            return LOCAL
        try:
            principal = self.tokens.verify(token)
        except TokenError as error:
            raise Problem(401, error.code, str(error), _LOGIN) from None
        if self.is_revoked(principal):
            raise Problem(401, "token-revoked", "this login has been ended", _LOGIN)
        return principal

    def admit(self, method: str, path: str, authorization: str) -> Principal:
        """Who may pass.

        Raises:
            Problem: 401 without a valid token where one is needed, 403 without the permission.
        """
        permission = permission_for(method, path)
        if permission is None:
            return ANONYMOUS
        principal = self.identify(authorization)
        if principal is None:
            if self.reads_open and is_read(method):
                return ANONYMOUS
            raise Problem(401, "token-missing", f"{method} {path} needs a token", _LOGIN)
        if not principal.may(permission):
            text = f"{principal.name} ({', '.join(principal.roles)}) lacks the permission {permission}"
            raise Problem(403, "permission-denied", text, "ask an administrator", {"permission": permission})
        # Halting is never held up: it only ever makes things safer.
        if principal.must_change and not is_read(method) and permission not in ("control:halt", "read:system"):
            text = f"{principal.name} still has the password of the first start"
            raise Problem(403, "password-change-required", text, "POST /api/v1/auth/password, then log in again")
        return principal


class AuthMiddleware:
    """Lets in whom ``guard`` admits; what is inside finds them with :func:`principal_of`."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            principal = self._guard.admit(scope["method"], scope["path"], headers.get("authorization", ""))
        except Problem as problem:
            extra = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
            await problem_response(Request(scope), problem, extra)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)


def make_guard(process: ProcessSettings, host: str, clock: Clock, *, reads_need_loopback: bool = False) -> Guard:
    """The guard of a surface that listens on ``host``.

    Args:
        process: Whether there is authentication, and where the secret is.
        host: Address the surface listens on.
        clock: Where the time comes from.
        reads_need_loopback: Whether reads are open on loopback only, as on the gateway, which people reach.

    Raises:
        SettingsError: If authentication is off and the surface can be reached from outside.
    """
    local = is_loopback(host)
    if process.auth == "off":
        if not local:
            raise SettingsError(f"NAUTILUS_AUTH must be on where others can connect, was off on host {host}; remove it")
        return Guard(None)
    given = process.jwt_secret.get_secret_value() if process.jwt_secret else None
    tokens = Tokens(load_secret(given, process.data_dir), clock)
    return Guard(tokens, reads_open=process.auth == "on" and (local or not reads_need_loopback))


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def principal_of(request: Request) -> Principal:
    """Who makes ``request``; anonymous on a surface without a guard."""
    found = getattr(request.state, "principal", ANONYMOUS)
    return found if isinstance(found, Principal) else ANONYMOUS


def actor_of(request: Request) -> str:
    """The name to record as the author of what ``request`` does."""
    return principal_of(request).name
