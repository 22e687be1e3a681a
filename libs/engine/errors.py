"""Errors of the engine host.

::

    EngineError
    ├── CommandRefused        a command that cannot be carried out; answered, never dead-lettered
    ├── RoutingError          a routing table that cannot work
    ├── SnapshotError         a snapshot that cannot be read or belongs to another layout
    ├── DeterminismError      a replay of the journal produced other outputs than the journal says
    └── SettingsError         an unknown or invalid setting
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of all errors of this library."""


class CommandRefused(EngineError):
    """Raised by a command handler before it changed anything.

    Attributes:
        status: HTTP status the refusal is answered with.
        code: Machine-readable reason, lower-case with dashes.
        detail: What, the value.
        remedy: What to do.
    """

    def __init__(self, status: int, code: str, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.remedy = remedy


class RoutingError(EngineError):
    """Two handlers for one topic, or a route of an unregistered topic."""


class SnapshotError(EngineError):
    """A snapshot is corrupt or was written by another state layout."""


class DeterminismError(EngineError):
    """Replaying the journal gave other outputs than it recorded; the engine stops rather than guess."""


class SettingsError(EngineError):
    """The environment names a setting that does not exist, or gives one a value it cannot have."""
