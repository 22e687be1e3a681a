"""What a work queue must do: consumer groups over the bus's streams, with progress inside record batches.

``memory_queue`` and ``redis_queue`` do it, and one contract suite (``libs/testing/work_contract.py``) runs on both.
Everything here may be repeated after a lost reply: settling twice changes nothing, and a letter is written once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol, runtime_checkable

from libs.messagebus.transport import Entry, Output

#: How long the progress of an unfinished entry is kept after its last change.
PROGRESS_SECONDS = 7 * 24 * 3600


class Delivery(NamedTuple):
    """An entry given to one consumer of a group.

    Attributes:
        target: The only group it is meant for, ``""`` for all; a retried dead letter names the one that failed on it.
        deliveries: Times it was given to somebody who did not finish it, this one included.
    """

    entry: Entry
    target: str = ""
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that was begun and is to be tried again.

    Attributes:
        attempts: Attempts begun so far.
        due_ms: UNIX milliseconds before which it is not to be tried again.
    """

    index: int
    attempts: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter for the job ``index``, as an encoded record batch."""

    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """News about one entry.

    Attributes:
        total: Events in the entry; when all of them are settled, the entry is acknowledged.
        settled: Events that need no more work: done, not wanted, cancelled.
        failed: Events that wait for another attempt.
        letters: Events that are given up; each counts as settled.
    """

    entry_id: str
    total: int
    settled: Sequence[int] = ()
    failed: Sequence[Failure] = ()
    letters: Sequence[Letter] = ()


class Verdict(IntEnum):
    """What became of a settlement."""

    GONE = -1  #: the entry is not pending: finished by another worker, trimmed, or its group was lost
    OPEN = 0
    FINISHED = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known about an entry that somebody else began."""

    settled: frozenset[int] = frozenset()
    failed: Mapping[int, Failure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was taken over.

    Attributes:
        lost: Ids of pending entries whose data were trimmed away; nobody can do them any more.
    """

    deliveries: list[Delivery]
    lost: list[str]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a group still has to do on a stream.

    Attributes:
        pending: Entries given out and not finished.
        oldest: The oldest entry that is not finished, given out or not; None when there is none.
    """

    pending: int
    oldest: Entry | None


@runtime_checkable
class WorkQueue(Protocol):
    """Consumer groups. All methods raise ``TransportError`` when the server is out of reach."""

    async def open_group(self, stream: str, group: str) -> bool:
        """Make sure that the group exists; a new one begins at the oldest entry. True when it was created."""
        ...

    async def take(
        self, stream: str, group: str, consumer: str, count: int, block_ms: int, *, ordered: bool = False
    ) -> list[Delivery]:
        """Entries nobody of the group was given yet, at most ``count``; waits up to ``block_ms`` for the first.

        Raises:
            GroupLostError: If the group does not exist.
            InactiveError: If the stream is ordered and another consumer holds it.
        """
        ...

    async def hold(self, stream: str, group: str, consumer: str, lease_ms: int) -> bool:
        """Become or stay the one consumer of an ordered stream for the next ``lease_ms``."""
        ...

    async def claim(self, stream: str, group: str, consumer: str, idle_ms: int, count: int) -> Claimed:
        """Take over entries nobody has shown interest in for ``idle_ms``, oldest first, at most ``count``.

        Raises:
            GroupLostError: If the group does not exist.
        """
        ...

    async def standing(self, stream: str, group: str, entry_ids: Sequence[str]) -> list[Standing]:
        """Progress inside the given entries."""
        ...

    async def extend(self, stream: str, group: str, consumer: str, entry_ids: Sequence[str]) -> list[str]:
        """Show interest in the given entries; returns those that belong to somebody else or to nobody now."""
        ...

    async def settle(
        self, stream: str, group: str, consumer: str, news: Sequence[Settlement], letters: str, *, ordered: bool = False
    ) -> list[Verdict]:
        """Write down what was done, all or none; ``letters`` is the stream of dead letters.

        Raises:
            InactiveError: If the stream is ordered and another consumer holds it; nothing was written.
        """
        ...

    async def release(self, stream: str, group: str, consumer: str) -> None:
        """Give back everything this consumer holds, so that others may claim it at once."""
        ...

    async def leave(self, stream: str, group: str, consumer: str) -> bool:
        """Forget a consumer; False, and nothing is done, while entries are pending on it."""
        ...

    async def sweep(self, stream: str, group: str, idle_ms: int) -> int:
        """Forget consumers that were silent for ``idle_ms`` and hold nothing; returns how many."""
        ...

    async def backlog(self, stream: str, group: str) -> Backlog:
        """What is left to do."""
        ...

    async def ask_to_cancel(self, group: str, job_id: str) -> None:
        """Ask whoever has this job, now or later, to cancel it."""
        ...

    async def cancels(self, group: str) -> frozenset[str]:
        """Jobs that somebody asked to cancel."""
        ...

    async def forget_cancels(self, group: str, job_ids: Sequence[str]) -> None:
        """These jobs have ended."""
        ...

    # -- dead letters -----------------------------------------------------------------------------

    async def newest(self, stream: str, before: str, count: int) -> list[Entry]:
        """Entries with an id below ``before`` (``""``: from the end), newest first, at most ``count``."""
        ...

    async def letter_states(self, letter_ids: Sequence[str]) -> list[str]:
        """What was done with each letter, ``""`` for nothing."""
        ...

    async def settle_letter(
        self, letter_id: str, state: str, retry: Output | None, reader: str, *, shared: bool
    ) -> str:
        """Note what is done with a letter, once, and publish its event again if there is one to publish.

        Args:
            letter_id: Entry id and index of the letter, with a dot between.
            state: What is noted.
            retry: Where to publish again, and what; None for a letter that is dropped.
            reader: Reader or group that failed; other groups skip the event.
            shared: Whether other sequenced readers of the stream may handle it again.

        Returns:
            ``""`` when it was noted, else what had been noted before; then nothing was done.

        Raises:
            SharedStreamError: If there are other sequenced readers and ``shared`` is False; nothing was done.
        """
        ...
