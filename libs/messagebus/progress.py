"""How far a publisher has come: its counters, and those who wait until it has come that far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublisherStatistics:
    """Counters since the publisher was made.

    Attributes:
        published: Events the bus acknowledged.
        batches: Append calls it acknowledged.
        dropped: Events dropped: LOW ones under ``drop_low``, and events that cannot be encoded or are too large.
        retries: Append calls that failed and were sent again.
        buffered: Events that wait or are in flight now.
        last_error: Text of the newest failure, ``""`` if there was none.
    """

    published: int
    batches: int
    dropped: int
    retries: int
    buffered: int
    last_error: str


class Progress:
    """Counts events done with; first in, first done.

    Events taken in are not counted (it would cost on every event): they are those done with and those pending.
    """

    def __init__(self) -> None:
        self._finished = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def awaited(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiters)

    def finish(self, count: int) -> None:
        """``count`` events are done with."""
        self._finished += count
        while self._waiters and self._waiters[0][0] <= self._finished:
            _settle(self._waiters.pop(0)[1], None)

    def when_done(self, pending: int) -> asyncio.Future[None]:
        """Done when the ``pending`` events there are now are done with."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if pending:
            self._waiters.append((self._finished + pending, future))
        else:
            future.set_result(None)
        return future

    def fail(self, error: Exception) -> None:
        """Nothing more will be done: everybody who waits is told."""
        for _, future in self._waiters:
            _settle(future, error)
        self._waiters.clear()


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
