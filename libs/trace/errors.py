"""Errors of tracing.

::

    TraceError
    ├── EventIdError          text that is no event id
    ├── UnknownEventError     no event of that id was ever published, as far as can be told
    └── TrimmedEventError     it was published and is gone
"""

from __future__ import annotations


class TraceError(Exception):
    """Base of all errors of this library."""


class EventIdError(TraceError):
    """An event id must be ``producer:sequence``."""


class UnknownEventError(TraceError):
    """Nothing recorded has this id."""


class TrimmedEventError(TraceError):
    """The event was published, and its stream has been trimmed past it."""
