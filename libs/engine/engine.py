"""What an engine is, and the outbox it publishes through.

An engine is a deterministic state machine: plain synchronous functions of (state, event, clock). It does no
I/O, reads no wall clock, draws no unseeded random number and starts no thread. What must touch the world is an
adapter beside it; what an adapter learns comes back as an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from libs.engine.references import Named, References
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event, Route


class Outbox:
    """Collects what handlers publish until the host commits it.

    An event published while another is handled inherits that one as its cause.
    """

    __slots__ = ("_base", "_reading", "cause", "causes", "events", "references", "replies")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.causes: list[int] = []
        self.replies: dict[int, Any] = {}
        self.references = References()
        self.cause = -1
        self._reading: RecordBatch | None = None
        self._base = 0

    @property
    def event_id(self) -> str:
        """Id of the event being handled, to be kept with what is stored of it; ``""`` in a timer and at the start."""
        if self.cause < 0 or self._reading is None:
            return ""
        return self._reading.event_id(self.cause - self._base)

    def publish(self, event: Event) -> None:
        """Publish ``event`` with the commit of the current batch."""
        self.events.append(event)
        self.causes.append(self.cause)

    def publish_because(self, event: Event, because: Iterable[str], named: Named | None = None) -> None:
        """Publish ``event`` and say what it was computed from; it is for tracing and changes nothing else.

        Args:
            event: The event.
            because: Ids of events, kept from :attr:`event_id` or from ``named``; empty ones are left out.
            named: Part of the engine's state; its ``event_id`` becomes the id of this event.
        """
        self.references.note(len(self.events), because, named)
        self.publish(event)

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
        if self.references:
            self.references.shorten(len(self.events))

    def shorten(self, count: int) -> None:
        """Forget all but the first ``count`` events."""
        del self.events[count:], self.causes[count:]
        if self.references:
            self.references.shorten(count)

    def begin_entry(self, batch: RecordBatch, base: int) -> None:
        """The events handled next are those of ``batch``, from the flat index ``base``; called by the core."""
        self._reading, self._base = batch, base

    def clear(self) -> None:
        """Forget everything; called by the host after it has taken the contents."""
        self.events = []
        self.causes = []
        self.replies = {}
        self.references = References()
        self.cause = -1
        self._reading = None


@runtime_checkable
class Engine(Protocol):
    """The state machine a host runs.

    Engines are built with their clock and outbox (``Engine(clock, outbox, settings)``). Timers are armed on
    that clock without a callback: they come back through :meth:`on_time_event`, so that a snapshot can restore them.

    Two more attributes an engine may have: ``migrations``, the :class:`~libs.engine.migrations.Migration` steps from
    state layouts of earlier versions, and ``strategy_versions``, a line that names what it has loaded at run time.
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
