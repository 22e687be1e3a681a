"""Errors of the clock library.

```
ClockError
├── InvalidTimerError     (ValueError)                  name, interval, stop or past time that can never be right
├── DuplicateTimerError   (KeyError)                    the name is already armed
├── UnknownTimerError     (KeyError)                    no timer of that name is armed
├── TimeRangeError        (ValueError, OverflowError)   a time outside 0 .. 2**64 - 1
├── TimeReversalError     (ValueError)                  the clock was told to go backward
├── ReentrantAdvanceError (RuntimeError)                the clock was moved from inside a callback
├── EndlessTimerError     (RuntimeError)                callbacks re-arm at the current time for ever
└── ClockLoopError        (RuntimeError)                a live timer without a usable event loop
```

The built-in base of each is the one NautilusTrader's clocks raise in the same situation, so code that moves over
keeps its `except` clauses. A value of the wrong type is a plain `TypeError`, as everywhere in Python.
"""


class ClockError(Exception):
    """Base of every error of this library."""


class InvalidTimerError(ClockError, ValueError):
    """A timer or an alert that cannot be armed as described."""


class DuplicateTimerError(ClockError, KeyError):
    """A timer of this name is armed already."""

    def __str__(self) -> str:
        """Return the plain text: `KeyError` would show it quoted."""
        return Exception.__str__(self)


class UnknownTimerError(ClockError, KeyError):
    """No timer of this name is armed."""

    def __str__(self) -> str:
        """Return the plain text: `KeyError` would show it quoted."""
        return Exception.__str__(self)


class TimeRangeError(ClockError, ValueError, OverflowError):
    """A time or duration outside what 64 unsigned bits of nanoseconds can hold."""


class TimeReversalError(ClockError, ValueError):
    """The clock was told to go backward."""


class ReentrantAdvanceError(ClockError, RuntimeError):
    """A callback tried to move the clock that is running it."""


class EndlessTimerError(ClockError, RuntimeError):
    """Callbacks keep arming timers at the current time, so that the clock could never move on."""


class ClockLoopError(ClockError, RuntimeError):
    """A live timer was armed without an event loop that could fire it."""
