"""What an engine is, and the outbox it publishes through.

An engine is a deterministic state machine: plain synchronous functions of (state, event, clock). It does no
I/O, reads no wall clock, draws no unseeded random number and starts no thread. What must touch the world is an
adapter beside it; what an adapter learns comes back as an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from libs.messagebus.topic import Event, Route


class Outbox:
    """Collects what handlers publish until the host commits it.

    An event published while another is handled inherits that one as its cause.
    """

    __slots__ = ("cause", "causes", "events", "replies")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.causes: list[int] = []
        self.replies: dict[int, Any] = {}
        self.cause = -1

    def publish(self, event: Event) -> None:
        """Publish ``event`` with the commit of the current batch."""
        self.events.append(event)
        self.causes.append(self.cause)

    def reply(self, value: Any) -> None:
        """Answer the command being handled; whoever sent it hears it after the commit.

        ``value`` must be plain data that JSON can carry (or a msgspec struct).
        """
        self.replies[self.cause] = value

    def take_back(self, cause: int) -> None:
        """Forget what the event ``cause``, the last one handled, has published and replied."""
        while self.causes and self.causes[-1] == cause:
            self.causes.pop()
            self.events.pop()
        self.replies.pop(cause, None)

    def shorten(self, count: int) -> None:
        """Forget all but the first ``count`` events."""
        del self.events[count:], self.causes[count:]

    def clear(self) -> None:
        """Forget everything; called by the host after it has taken the contents."""
        self.events = []
        self.causes = []
        self.replies = {}
        self.cause = -1


@runtime_checkable
class Engine(Protocol):
    """The state machine a host runs.

    Engines are built with their clock and outbox (``Engine(clock, outbox, settings)``). Timers are armed on
    that clock without a callback: they come back through :meth:`on_time_event`, so that a snapshot can restore them.
    """

    name: str
    state_type: type[msgspec.Struct]

    def routes(self) -> Sequence[Route]:
        """The routing table: ``(on(topics.BAR, self.on_bar), ...)``."""
        ...

    def on_start(self) -> None:
        """Called once in the engine's life, before its first event; not again after a restart."""
        ...

    def on_time_event(self, name: str, ts_event: int) -> None:
        """A timer armed on the engine's clock is due; the clock reads ``ts_event``."""
        ...

    def snapshot(self) -> msgspec.Struct:
        """The whole state as plain typed data (an instance of ``state_type``)."""
        ...

    def restore(self, state: Any) -> None:
        """Replace the state by what :meth:`snapshot` returned."""
        ...

    def status(self) -> Mapping[str, Any]:
        """Counters and facts for ``/status``: plain data, cheap, read between batches."""
        ...
