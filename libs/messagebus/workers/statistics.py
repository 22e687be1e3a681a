"""What a worker has done, in plain integers: counted in the hot loop, read by metrics and status pages."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class TopicCounts:
    """Jobs of one topic.

    Attributes:
        failed: Attempts that raised.
        retried: Of them, those after which the job waits for another attempt.
        dead: Jobs given up.
        cancelled: Jobs ended because somebody asked.
        running: Jobs in flight now.
    """

    done: int = 0
    failed: int = 0
    retried: int = 0
    dead: int = 0
    cancelled: int = 0
    running: int = 0


@dataclass(slots=True)
class StreamFacts:
    """One stream of a worker's group.

    Attributes:
        pending: Entries given out to any worker of the group and not finished.
        oldest_seconds: Age of the oldest unfinished entry, from its publication; None when there is none.
    """

    pending: int = 0
    oldest_seconds: float | None = None


@dataclass(slots=True)
class WorkerStatistics:
    """Counters since the worker was made.

    Attributes:
        topics: By topic name.
        streams: By stream.
        claimed: Entries taken over from workers that gave no sign of life.
        trimmed: Entries whose data were trimmed away before they were done.
        groups_recreated: Times a group was found missing and created again from 0.
        undecodable: Events and whole entries that could not be decoded.
        taken_away: Entries another worker took over, because this one was silent for too long.
    """

    topics: dict[str, TopicCounts] = field(default_factory=dict)
    streams: dict[str, StreamFacts] = field(default_factory=dict)
    claimed: int = 0
    trimmed: int = 0
    groups_recreated: int = 0
    undecodable: int = 0
    taken_away: int = 0
