"""Consumer groups of the memory transport: plain data, shared by all work queues over one transport."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class PendingEntry:
    """An entry given to a consumer; ``since_ns`` is when it last showed interest."""

    consumer: str
    since_ns: int
    deliveries: int = 1


@dataclass(slots=True)
class ConsumerGroup:
    """One group on one stream.

    Attributes:
        last: Number of the newest entry given out.
        pending: By entry number.
        progress: By entry number: settled events, and failed ones with attempts and due time (ms).
        holder: Consumer that serves an ordered stream, and until when (ns).
    """

    last: int = 0
    pending: dict[int, PendingEntry] = field(default_factory=dict)
    progress: dict[int, tuple[set[int], dict[int, tuple[int, int]]]] = field(default_factory=dict)
    consumers: dict[str, int] = field(default_factory=dict)
    holder: tuple[str, int] = ("", 0)

    @property
    def floor(self) -> int:
        """Newest entry number nobody of this group needs any more."""
        return min((number - 1 for number in self.pending), default=self.last)


@dataclass(slots=True)
class GroupBook:
    """All groups of a memory transport, by stream and name, and what belongs to no group.

    Attributes:
        targets: The only group an entry is meant for, by stream and entry number.
        cancels: Jobs somebody asked to cancel, by group.
        letters: What was done with dead letters, by letter id.
    """

    groups: dict[str, dict[str, ConsumerGroup]] = field(default_factory=dict)
    targets: dict[tuple[str, int], str] = field(default_factory=dict)
    cancels: dict[str, set[str]] = field(default_factory=dict)
    letters: dict[str, str] = field(default_factory=dict)

    def floor(self, stream: str, last: int) -> int:
        """Newest entry number of ``stream`` that no group needs any more, ``last`` when it has no group."""
        return min((group.floor for group in self.groups.get(stream, {}).values()), default=last)
