"""Errors of workers and dead letters.

::

    MessageBusError
    └── WorkError
        ├── GroupLostError      the consumer group is gone (FLUSHALL, XGROUP DESTROY); it is created again from 0
        ├── InactiveError       another worker serves this ordered stream now
        ├── JobCancelled        raised inside a job that was asked to end
        ├── JobRejected         raised by a job that no retry can help; it goes to the dead letters at once
        └── LetterError         a dead letter cannot be retried or dropped
            ├── LetterUnknownError    there is no such letter, or it was trimmed away
            ├── LetterSettledError    it was retried or dropped before
            ├── LetterLostError       nothing is left that could be published again
            └── SharedStreamError     other readers of the stream would handle the event a second time
"""

from __future__ import annotations

from libs.messagebus.errors import MessageBusError


class WorkError(MessageBusError):
    """Base of all errors of this package."""


class GroupLostError(WorkError):
    """The consumer group or its stream does not exist."""

    retriable = True


class InactiveError(WorkError):
    """An ordered stream is served by another worker; what this one did last was refused."""

    retriable = True


class JobCancelled(WorkError):
    """What :meth:`Job.raise_if_cancelled` raises; let it pass."""


class JobRejected(WorkError):
    """Raise it in a job that can never succeed: it is not tried again but dead-lettered."""


class LetterError(WorkError):
    """A dead letter was left as it was."""


class LetterUnknownError(LetterError):
    """No dead letter has this id."""


class LetterSettledError(LetterError):
    """The letter was retried or dropped before; each of the two happens once."""


class LetterLostError(LetterError):
    """The letter holds no whole event, and its stream does not either."""


class SharedStreamError(LetterError):
    """Publishing the event again would reach readers that have handled it already."""
