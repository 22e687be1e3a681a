"""Who may do what: roles, permissions, and which permission a request needs.

Reads are ``read:system`` for everybody with a token. What a path of a write needs stands in one table, read from the
top; a write that no line names needs ``execute:trades``, so that forgetting a line never opens a door.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Role = Literal["viewer", "analyst", "trader", "admin"]

_READS: Final = ("read:market", "read:portfolio", "read:risk", "read:system")
_ANALYST: Final = (*_READS, "run:jobs", "write:data", "write:models")
_TRADER: Final = (*_ANALYST, "write:orders", "write:strategies", "write:limits", "execute:trades", "control:halt")

#: What each role may; ``admin:all`` holds every permission.
PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    "viewer": frozenset(_READS),
    "analyst": frozenset(_ANALYST),
    "trader": frozenset(_TRADER),
    "admin": frozenset((*_TRADER, "admin:all")),
}

ROLES: Final[tuple[Role, ...]] = ("viewer", "analyst", "trader", "admin")

#: Paths that need no token whatever is set: without them nobody could see that something is wrong, or log in.
OPEN: Final = re.compile(
    r"/(health(/.*)?|metrics|openapi\.json|api/v1/auth/(login|refresh)|console/.*)?|(/docs|/redoc)(/.*)?"
)

_WRITES: Final = tuple(
    (re.compile(pattern), permission)
    for pattern, permission in (
        (r"/auth/(logout|password)", "read:system"),
        (r"/(control|risk)/halt", "control:halt"),
        (r"/control/.*|/risk/resume|/auth/.*|/connections/.*|/broadcast|/dlq/.*", "admin:all"),
        (r"/orders(/.*)?|/ib/orders/.*|.*/rebalance", "write:orders"),
        (r"/(strategies|deployments)(/.*)?", "write:strategies"),
        (r"/risk/(limits|breaches|monitor)(/.*)?", "write:limits"),
        (r"/(data|feeds|subscriptions|symbols|market-data|fred|historical)(/.*)?", "write:data"),
        (r"/ml/(train|automl|models/.*)", "write:models"),
        (r"/(features|factors|factor-engine|analytics|volatility|ml/predict|enhanced-risk)(/.*)?", "run:jobs"),
        (r"/(risk/(check|stress|analytics)|collateral/(margin|stress-test|regulatory))(/.*)?", "run:jobs"),
    )
)
_READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PREFIX: Final = re.compile(r"^/api/v1(/engines/[a-z-]+(/api/v1)?)?")


def is_read(method: str) -> bool:
    """Whether ``method`` changes nothing."""
    return method in _READ_METHODS


def permission_for(method: str, path: str) -> str | None:
    """The permission a request needs, None for what is open to everybody.

    The same path needs the same permission on an engine's surface (``/risk/limits``) and on the gateway's
    (``/api/v1/risk/limits``, ``/api/v1/engines/risk/risk/limits``).
    """
    if OPEN.fullmatch(path) and (is_read(method) or path.startswith("/api/v1/auth/")):
        return None
    if is_read(method):
        return "read:system"
    bare = _PREFIX.sub("", path)
    return next((permission for pattern, permission in _WRITES if pattern.fullmatch(bare)), "execute:trades")


def allows(roles: tuple[str, ...], permission: str) -> bool:
    """Whether one of ``roles`` holds ``permission``."""
    return any(permission in PERMISSIONS.get(role, ()) for role in roles)
