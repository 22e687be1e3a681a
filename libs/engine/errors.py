"""Errors of the engine host.

::

    EngineError
    ├── CommandRefused        a command that cannot be carried out; answered, never dead-lettered
    ├── RoutingError          a routing table that cannot work
    ├── SnapshotError         a snapshot that cannot be used
    │   ├── SnapshotDamagedError  its bytes are torn or changed; nothing is known about what it held
    │   └── LayoutError           it is sound and holds a state in a layout that this code cannot read
    ├── OtherCodeError        a journal that other code wrote, which this code is not to replay unasked
    ├── DeterminismError      a replay of the journal produced other outputs than the journal says
    ├── NondeterminismError   a handler asked for the time, chance or the world while it was watched
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
    """A snapshot cannot be used, or a state cannot be made into one."""


class SnapshotDamagedError(SnapshotError):
    """A snapshot is torn, changed, or not of this bus; an older one or the journal may still do."""


class LayoutError(SnapshotError):
    """A snapshot holds a state layout this code does not know and has no migration from."""


class OtherCodeError(EngineError):
    """What is to be replayed was written by other code: nobody could tell an upgrade from a bug."""


class DeterminismError(EngineError):
    """Replaying the journal gave other outputs than it recorded; the engine stops rather than guess."""


class NondeterminismError(EngineError):
    """A handler asked the machine for the time, for chance, or for anything outside it.

    Attributes:
        who: Whose handler, usually an engine's name.
        call: What was called: ``"time.time"``, or an audit event of the interpreter such as ``"open"``.
        file: Where, from the root of the project, ...
        line: ... and in which line.
    """

    def __init__(self, who: str, call: str, file: str, line: int, remedy: str) -> None:
        super().__init__(f"handlers of '{who}' must take nothing from outside, was {call} at {file}:{line}; {remedy}")
        self.who = who
        self.call = call
        self.file = file
        self.line = line


class SettingsError(EngineError):
    """The environment names a setting that does not exist, or gives one a value it cannot have."""
