"""Errors of recordings.

::

    RecordingError              text says what to do; the command ends with exit code 2
    ├── RecordingDamagedError   truncated, corrupt, or no recording at all
    └── ReplayImpossibleError   sound, but this engine cannot be replayed from it
"""

from __future__ import annotations


class RecordingError(Exception):
    """Base of all errors of recordings."""


class RecordingDamagedError(RecordingError):
    """The file is truncated, corrupt, or no recording."""


class ReplayImpossibleError(RecordingError):
    """The recording lacks what replaying the engine needs, or this code cannot read its snapshots."""
