"""A small language for what one does with a clock, so that one table of cases runs on every clock there is.

A script is a list of JSON-able steps with times in units relative to a start; running it yields a transcript of tokens:

    t@3         timer `t` fired, scheduled for 3
    t@3(6)      it fired while the clock read 6
    names=a,b   what was armed
    next=4      when a timer fires next ("none" if it is not armed)
    now=6       what the clock read
    KeyError    a step failed, by the built-in error that callers would catch
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Step = Sequence[Any]
Reactions = dict[str, list[list[Step]]]  # by timer name: what its first, second, ... callback does

START_NS = 1_700_000_000_000_000_000  # where scripts begin on clocks moved by hand
UNIT_NS = 1_000

ERRORS = (KeyError, OverflowError, ValueError, TypeError)


def alert(name: str, at: float, allow_past: bool = True, default: bool = False) -> Step:
    return ["alert", name, at, allow_past, default]


def timer(
    name: str,
    interval: float,
    start: float | None = None,
    stop: float | None = None,
    allow_past: bool = True,
    fire_immediately: bool = False,
    default: bool = False,
) -> Step:
    return ["timer", name, interval, start, stop, allow_past, fire_immediately, default]


def cancel(name: str) -> Step:
    return ["cancel", name]


def cancel_all() -> Step:
    return ["cancel_all"]


def go(to: float) -> Step:
    return ["go", to]


def set_time(to: float) -> Step:
    return ["set_time", to]


def names() -> Step:
    return ["names"]


def next_time(name: str) -> Step:
    return ["next", name]


def now() -> Step:
    return ["now"]


class Player:
    """Runs scripts on one clock.

    Args:
        clock: Any clock with the names of NautilusTrader's.
        advance: Moves the clock to a time in nanoseconds, running what is due.
        start_ns: What the script calls 0.
        unit_ns: What the script calls 1.
        show_reading: Whether tokens tell a clock reading other than the scheduled time; a live clock always differs.
    """

    def __init__(
        self, clock: Any, advance: Callable[[int], object], start_ns: int, unit_ns: int, show_reading: bool = True
    ) -> None:
        self.clock, self.advance = clock, advance
        self.start_ns, self.unit_ns, self.show_reading = start_ns, unit_ns, show_reading
        self.tokens: list[str] = []
        self.reactions: Reactions = {}

    def play(self, script: Sequence[Step], reactions: Reactions | None = None) -> str:
        self.reactions = {name: list(steps) for name, steps in (reactions or {}).items()}
        self.clock.register_default_handler(self.on_default)
        for step in script:
            self.do(step)
        return " ".join(self.tokens)

    def on_event(self, event: Any) -> None:
        token = f"{event.name}@{self.units(event.ts_event)}"
        if self.show_reading and self.clock.timestamp_ns() != event.ts_event:
            token += f"({self.units(self.clock.timestamp_ns())})"
        self.tokens.append(token)
        if self.reactions.get(event.name):
            for step in self.reactions[event.name].pop(0):
                self.do(step)

    def on_default(self, event: Any) -> None:
        self.tokens.append("default")
        self.on_event(event)

    def do(self, step: Step) -> None:
        try:
            token = self.outcome(*step)
        except ERRORS as e:
            token = next(kind.__name__ for kind in ERRORS if isinstance(e, kind))
        if token is not None:
            self.tokens.append(token)

    def outcome(self, verb: str, *args: Any) -> str | None:
        clock, ns = self.clock, self.ns
        if verb == "alert":
            name, at, allow_past, default = args
            clock.set_time_alert_ns(name, ns(at), None if default else self.on_event, allow_past)
        elif verb == "timer":
            name, interval, start, stop, allow_past, fire_immediately, default = args
            start_ns, stop_ns = (0 if at is None else ns(at) for at in (start, stop))
            callback = None if default else self.on_event
            clock.set_timer_ns(
                name, math.floor(interval * self.unit_ns), start_ns, stop_ns, callback, allow_past, fire_immediately
            )
        elif verb == "cancel":
            clock.cancel_timer(args[0])
        elif verb == "cancel_all":
            clock.cancel_timers()
        elif verb == "go":
            self.advance(ns(args[0]))
        elif verb == "set_time":
            clock.set_time(ns(args[0]))
        elif verb == "names":
            assert clock.timer_count == len(clock.timer_names)
            return f"names={','.join(clock.timer_names) or 'none'}"
        elif verb == "next":
            at = clock.next_time_ns(args[0])
            return f"next={self.units(at) if at else 'none'}"
        else:
            return f"now={self.units(clock.timestamp_ns())}"
        return None

    def ns(self, units: float) -> int:
        return self.start_ns + math.floor(units * self.unit_ns)

    def units(self, ns: int) -> str:
        value = round((ns - self.start_ns) / self.unit_ns, 1) + 0.0  # + 0.0 makes -0.0 plain
        return f"{value:g}"
