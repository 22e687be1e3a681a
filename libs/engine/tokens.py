"""Tokens: JSON Web Tokens (RFC 7519), one algorithm (HS256), times from the injected clock.

One secret signs for the whole fleet. It comes from ``NAUTILUS_JWT_SECRET``, or from a file under the data directory
that the first process to need one creates, readable by its owner only.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import jwt

from libs.clock import Clock
from libs.engine.errors import SettingsError
from libs.engine.permissions import allows

ALGORITHM: Final = "HS256"
SECRET_FILE: Final = "jwt.secret"
ACCESS_SECONDS: Final = 30 * 60
REFRESH_SECONDS: Final = 7 * 24 * 3600

TokenType = Literal["access", "refresh"]

_NS = 1_000_000_000
_MIN_SECRET = 32


class TokenError(Exception):
    """A token that proves nothing.

    Attributes:
        code: ``token-missing``, ``token-expired`` or ``token-invalid``.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever makes a request.

    Attributes:
        name: User name; recorded as the actor of what they do.
        family: The login this token descends from; revoked together.
        must_change: Whether the password is still the one printed at the first start.
        expires: Last second (UNIX) of the token that was shown; 0 = none was.
    """

    name: str
    roles: tuple[str, ...]
    family: str = ""
    must_change: bool = False
    expires: int = 0

    def may(self, permission: str) -> bool:
        """Whether this principal holds ``permission``."""
        return allows(self.roles, permission)


#: Whoever reads without a token where that is allowed.
ANONYMOUS: Final = Principal("anonymous", ("viewer",))
#: Everybody, where authentication is off (loopback only).
LOCAL: Final = Principal("local", ("admin",))


class Tokens:
    """Issues and verifies the tokens of one fleet.

    Args:
        secret: At least 32 characters.
        clock: Where the time comes from.

    Raises:
        SettingsError: If the secret is too short to be one.
    """

    def __init__(self, secret: str, clock: Clock) -> None:
        if len(secret) < _MIN_SECRET:
            raise SettingsError(
                f"NAUTILUS_JWT_SECRET must have at least {_MIN_SECRET} characters, was {len(secret)}; "
                'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        self._secret = secret
        self._clock = clock

    def issue(self, kind: TokenType, principal: Principal) -> tuple[str, str, int]:
        """A new token: its text, its id (``jti``) and its last second."""
        now = self._clock.timestamp_ns() // _NS
        expires = now + (ACCESS_SECONDS if kind == "access" else REFRESH_SECONDS)
        token_id = secrets.token_urlsafe(12)
        claims: dict[str, Any] = {
            "sub": principal.name, "iat": now, "exp": expires, "jti": token_id, "type": kind,
            "roles": list(principal.roles), "family": principal.family, "must_change": principal.must_change,
        }  # fmt: skip
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM), token_id, expires

    def verify(self, text: str, kind: TokenType = "access") -> Principal:
        """Who the token says, if it is genuine, in time and of that kind.

        Raises:
            TokenError: If not.
        """
        principal, _ = self.verify_with_id(text, kind)
        return principal

    def verify_with_id(self, text: str, kind: TokenType) -> tuple[Principal, str]:
        """:meth:`verify`, and the token's id.

        Raises:
            TokenError: If the token proves nothing.
        """
        try:
            # Times are checked below: the library would read the machine's clock.
            claims = jwt.decode(
                text,
                self._secret,
                algorithms=[ALGORITHM],
                options={"require": ["sub", "exp", "iat", "jti"], "verify_exp": False, "verify_iat": False,
                         "verify_nbf": False},
            )  # fmt: skip
        except jwt.InvalidTokenError as error:
            raise TokenError("token-invalid", f"the token is none of this fleet: {error}") from None
        if claims.get("type") != kind:
            raise TokenError("token-invalid", f"the token must be an {kind} token, was '{claims.get('type')}'")
        expires = int(claims["exp"])
        if expires <= self._clock.timestamp_ns() // _NS:
            raise TokenError("token-expired", "the token has expired")
        roles = tuple(str(role) for role in claims.get("roles", ()))
        principal = Principal(
            str(claims["sub"]), roles, str(claims.get("family", "")), bool(claims.get("must_change")), expires
        )
        return principal, str(claims["jti"])


def load_secret(given: str | None, data_dir: Path) -> str:
    """The fleet's secret: the given one, else the stored one, else a new one that is stored.

    Two processes that start at once end up with the same secret: a file is complete before it takes its name, and a
    name is taken once.

    Raises:
        SettingsError: If the stored secret can be read by others.
    """
    if given:
        return given
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / SECRET_FILE
    if not path.exists():
        draft = data_dir / f"{SECRET_FILE}.{secrets.token_hex(6)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its secret counts
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path} must be readable by its owner only, was open to others; chmod 600 it")
    return path.read_text().strip()
