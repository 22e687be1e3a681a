"""What a worker does with which topic: handler, concurrency, order, retries."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from libs.messagebus.backoff import BASE_SECONDS, MAX_SECONDS, backoff_seconds
from libs.messagebus.topic import Event, Topic
from libs.messagebus.workers.job import Job

E = TypeVar("E", bound=Event)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a failing job is tried again.

    Attributes:
        max_attempts: Attempts altogether, the first included; then the job goes to the dead letters.
        base_seconds: Least wait; the bound of the wait doubles with every attempt.
        max_seconds: Most.
    """

    max_attempts: int = 5
    base_seconds: float = BASE_SECONDS
    max_seconds: float = MAX_SECONDS

    def __post_init__(self) -> None:
        """Refuse what would retry never or for ever."""
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, was {self.max_attempts}")
        if not 0 < self.base_seconds <= self.max_seconds:
            raise ValueError(
                f"base_seconds must be above 0 and at most max_seconds, was {self.base_seconds:g} and "
                f"{self.max_seconds:g}"
            )

    def wait_ns(self, job_id: str, attempts: int) -> int:
        """Nanoseconds until the next attempt, after ``attempts`` of them: the same for one job in every run."""
        return int(backoff_seconds(job_id, attempts - 1, self.base_seconds, self.max_seconds) * 1e9)


@dataclass(frozen=True, slots=True)
class JobRoute(Generic[E]):
    """One row of a worker's table; build it with :func:`job`."""

    topic: Topic[E]
    handler: Callable[[Job[E]], Awaitable[None] | None]
    concurrency: int
    ordered: bool
    retry: RetryPolicy


def job(
    topic: Topic[E],
    handler: Callable[[Job[E]], Awaitable[None] | None],
    *,
    concurrency: int = 1,
    ordered: bool = False,
    retry: RetryPolicy | None = None,
) -> JobRoute[E]:
    """Bind a handler to a topic; the type checker ties the two together.

    Args:
        topic: Each of its events is a job.
        handler: Plain function or coroutine function. It returns when the job is done and raises when it failed. A
            plain function must be quick: while it runs nothing else does, the signs of life included.
        concurrency: Jobs of this topic that run at the same time in one worker.
        ordered: One worker of the group serves the topic's stream at a time, and jobs with the same key run one after
            the other in publication order; a job that waits for a retry holds back those behind it with its key.
        retry: By default five attempts, 1 to 60 s apart.

    Raises:
        ValueError: If ``concurrency`` is below 1.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency of '{topic.name}' must be at least 1, was {concurrency}")
    return JobRoute(topic, handler, concurrency, ordered, retry or RetryPolicy())


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker reads.

    Attributes:
        visibility_seconds: After so long without a sign of life an entry may be taken over; signs are given three
            times as often, for as long as a job runs.
        max_waiting: Failed jobs that wait for a retry before the worker stops taking new entries. When everything
            fails, the cause is usually outside, and reading on would only fill the dead letters.
        max_read: Entries taken at once at most; a worker with long jobs takes fewer, so that others have some too.
        block_ms: How long one read waits at the server.
        stop_seconds: What running jobs are given to end when the worker is told to stop.
    """

    visibility_seconds: float = 30.0
    max_waiting: int = 1_000
    max_read: int = 256
    block_ms: int = 1_000
    stop_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("visibility_seconds", "max_waiting", "max_read", "block_ms", "stop_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, was {getattr(self, name)}")

    @property
    def visibility_ms(self) -> int:
        """For the server."""
        return max(1, int(self.visibility_seconds * 1000))

    @property
    def beat_ns(self) -> int:
        """Between two signs of life."""
        return int(self.visibility_seconds * 1e9 / 3)


def check_name(what: str, name: str) -> str:
    """A group or consumer name as it may stand in a key.

    Raises:
        ValueError: If it holds anything but letters, digits, dot, underscore and dash.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{what} must be 1 to 100 letters, digits, dots, underscores or dashes, was '{name}'")
    return name


def routes_by_stream(routes: list[JobRoute[Any]]) -> dict[str, list[JobRoute[Any]]]:
    """Group routes by the stream of their topic.

    Raises:
        ValueError: If there is none, or a topic has two.
    """
    if not routes:
        raise ValueError("routes of a worker must be at least one, was none; name the topics with job(...)")
    grouped: dict[str, list[JobRoute[Any]]] = {}
    seen: set[str] = set()
    for route in routes:
        if route.topic.name in seen:
            raise ValueError(f"topic '{route.topic.name}' must have one handler in a worker, was routed twice")
        seen.add(route.topic.name)
        grouped.setdefault(route.topic.stream, []).append(route)
    return grouped
