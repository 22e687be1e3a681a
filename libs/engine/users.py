"""Users and logins in one small file, ``auth.json`` under the data directory; only the gateway writes it.

Passwords are hashed with argon2id (RFC 9106). A login opens a *family* of refresh tokens: each can be used once, and a
second use of one, which only a thief or a bug makes, ends the whole family.
"""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from libs.engine.tokens import Principal

USERS_FILE: Final = "auth.json"
ADMIN: Final = "admin"
MIN_PASSWORD: Final = 12

_HASHER = PasswordHasher()  # RFC 9106, low-memory profile: argon2id, 64 MiB, 3 passes


@cache
def _decoy() -> str:
    """Verified when the user does not exist, so that the time of an answer tells nobody which names do.

    Made at the first login and not at import: it takes a quarter of a second, in every process of a fleet.
    """
    return _HASHER.hash("no user has this password")


class User(msgspec.Struct, forbid_unknown_fields=True):
    """One user."""

    name: str
    password_hash: str
    roles: list[str]
    must_change: bool = False


class Family(msgspec.Struct, forbid_unknown_fields=True):
    """One login: the id of the only refresh token of it that still counts, and when the login ends (UNIX seconds)."""

    user: str
    token_id: str
    expires: int


class _Book(msgspec.Struct, forbid_unknown_fields=True):
    users: dict[str, User] = {}
    families: dict[str, Family] = {}


class AuthError(Exception):
    """A login, a refresh or a change that is refused; ``code`` says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class UserStore:
    """Users, their passwords and their logins.

    Args:
        data_dir: Where ``auth.json`` lies; it need not exist yet.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / USERS_FILE
        self._book = _Book()
        if self._path.exists():
            self._book = msgspec.json.decode(self._path.read_bytes(), type=_Book)

    def __len__(self) -> int:
        return len(self._book.users)

    def check_password(self, name: str, password: str) -> Principal:
        """Who this is, under a new family; takes some 50 ms of CPU by design, so call it from a thread.

        Raises:
            AuthError: If there is no such user with that password.
        """
        user = self._book.users.get(name)
        try:
            decoy = _decoy()  # asked for in any case, or the first answer of a process would tell
            _HASHER.verify(user.password_hash if user else decoy, password)
        except (VerificationError, InvalidHashError):
            user = None
        if user is None:
            raise AuthError("login-failed", "user name and password do not belong together")
        return Principal(user.name, tuple(user.roles), secrets.token_urlsafe(9), user.must_change)

    def open_family(self, principal: Principal, token_id: str, expires: int, now: int) -> None:
        """Remember that ``token_id`` is the refresh token of this login; forgets logins that ended before ``now``."""
        kept = {name: family for name, family in self._book.families.items() if family.expires > now}
        kept[principal.family] = Family(principal.name, token_id, expires)
        self._book.families = kept
        self._save()

    def use_refresh(self, principal: Principal, token_id: str) -> Principal:
        """Spend a refresh token; answers with the user as they are now.

        Raises:
            AuthError: If the login ended, or if this token was spent before: then the login ends here.
        """
        family = self._book.families.get(principal.family)
        user = self._book.users.get(principal.name)
        if family is None or user is None:
            raise AuthError("token-revoked", "this login has ended")
        if not secrets.compare_digest(family.token_id, token_id):
            self.close_family(principal.family)
            raise AuthError("token-reused", "this refresh token was used before, so its login has been ended")
        return Principal(user.name, tuple(user.roles), principal.family, user.must_change)

    def close_family(self, family: str) -> None:
        """End a login."""
        if self._book.families.pop(family, None) is not None:
            self._save()

    def is_open(self, family: str) -> bool:
        """Whether a login has not been ended."""
        return family in self._book.families

    def set_password(self, name: str, current: str, new: str) -> None:
        """Change a password; ends every login of that user. Takes CPU: call it from a thread.

        Raises:
            AuthError: If the current password is wrong or the new one is too short or the same.
        """
        self.check_password(name, current)
        if len(new) < MIN_PASSWORD:
            raise AuthError("password-too-short", f"a password must have at least {MIN_PASSWORD} characters")
        if new == current:
            raise AuthError("password-unchanged", "the new password must differ from the current one")
        user = self._book.users[name]
        self._book.users[name] = User(user.name, _HASHER.hash(new), user.roles)
        self._book.families = {key: one for key, one in self._book.families.items() if one.user != name}
        self._save()

    def add(self, name: str, password: str, roles: list[str], must_change: bool = False) -> None:
        """Create a user.

        Raises:
            AuthError: If the name is taken.
        """
        if name in self._book.users:
            raise AuthError("duplicate", f"user '{name}' exists")
        self._book.users[name] = User(name, _HASHER.hash(password), roles, must_change)
        self._save()

    def _save(self) -> None:
        # Written beside and renamed over, so that a crash leaves the old file or the new one and never half of one.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(f".{secrets.token_hex(6)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self._book)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


def ensure_admin(data_dir: Path) -> str | None:
    """Create the first user if there is none.

    Returns:
        The password of ``admin``, once; None when there are users already. It is stored nowhere: show it or it is lost.
    """
    store = UserStore(data_dir)
    if len(store):
        return None
    password = secrets.token_urlsafe(15)
    store.add(ADMIN, password, ["admin"], must_change=True)
    return password
