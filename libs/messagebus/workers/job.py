"""A job as its handler sees it: one event, with an identity that survives retries, deaths and restarts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from libs.messagebus.topic import Event, Topic
from libs.messagebus.workers.errors import JobCancelled

if TYPE_CHECKING:
    from libs.messagebus.workers.entries import OpenEntry

E = TypeVar("E", bound=Event)

#: ``asked``: somebody cancelled the job; ``lost``: another worker has it now; ``stopping``: this worker ends.
CancelReason = Literal["", "asked", "lost", "stopping"]


class Job(Generic[E]):
    """One event to be worked on.

    Its effects happen *at least* once: a worker that dies between the effect and the acknowledgement leaves the job to
    another one, which does it again. Whoever needs them once hands :attr:`idempotency_key` to what carries them out
    (a unique column, a conditional write, the client order id of a broker).

    Attributes:
        id: Of the event, ``producer:sequence``; the same in every attempt, also after a retry from the dead letters.
        event: The event.
        attempt: 1 in the first attempt.
        cancel_reason: Why it should end soon, ``""`` while it should not.
    """

    __slots__ = (
        "_report", "attempt", "cancel_reason", "careful", "due_ns", "entry", "event", "group", "id", "index", "key",
        "topic",
    )  # fmt: skip

    def __init__(
        self,
        entry: OpenEntry,
        index: int,
        topic: Topic[E],
        event: E,
        group: str,
        report: Callable[[Job[Any], float, str], None],
    ) -> None:
        self.entry = entry
        self.index = index
        self.topic = topic
        self.event = event
        self.group = group
        self.id = entry.batch.event_id(index)
        self.attempt = 1
        self.due_ns = 0
        self.key = ""
        self.careful = entry.careful
        self.cancel_reason: CancelReason = ""
        self._report = report

    @property
    def idempotency_key(self) -> str:
        """Equal for all attempts at this job by this group, and for nothing else."""
        return f"{self.group}/{self.id}"

    def raise_if_cancelled(self) -> None:
        """Call it where a long job may end; cancelling is a request, never force.

        Raises:
            JobCancelled: If the job was asked to end.
        """
        if self.cancel_reason:
            raise JobCancelled(f"job {self.id} of '{self.topic.name}' was asked to end ({self.cancel_reason})")

    def report(self, fraction: float, text: str = "") -> None:
        """Tell how far the job is; published as ``JobProgressed`` where the worker was given a publisher.

        Args:
            fraction: From 0 to 1.
            text: One line for people.

        Raises:
            ValueError: If ``fraction`` is outside 0 .. 1.
        """
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"fraction of a job must be from 0 to 1, was {fraction}")
        self._report(self, fraction, text)
