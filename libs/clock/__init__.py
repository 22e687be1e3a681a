"""Clocks: `LiveClock` for running systems, `TestClock` for simulations and replays, one protocol for both."""

from libs.clock.clock import Clock, TimeEvent, TimeEventCallback, TimeEventHandler
from libs.clock.errors import (
    ClockError,
    ClockLoopError,
    DuplicateTimerError,
    EndlessTimerError,
    InvalidTimerError,
    ReentrantAdvanceError,
    TimeRangeError,
    TimeReversalError,
    UnknownTimerError,
)
from libs.clock.live import LiveClock
from libs.clock.test import TestClock
from libs.clock.timers import TimerState

__all__ = [
    "Clock",
    "ClockError",
    "ClockLoopError",
    "DuplicateTimerError",
    "EndlessTimerError",
    "InvalidTimerError",
    "LiveClock",
    "ReentrantAdvanceError",
    "TestClock",
    "TimeEvent",
    "TimeEventCallback",
    "TimeEventHandler",
    "TimeRangeError",
    "TimeReversalError",
    "TimerState",
    "UnknownTimerError",
]
