"""Events about jobs: what workers tell of their work."""

from __future__ import annotations

from typing import Literal

from libs.messagebus.topic import Event

JobState = Literal["running", "retrying", "dead", "cancelled"]


class JobProgressed(Event, frozen=True, tag="system.job.v1"):
    """A job told how far it is, or took a turn its owner should know of; ``ts_event`` is the worker's clock.

    Attributes:
        job_id: Id of the event that is the job.
        group: The consumer group that works on it.
        topic: Topic of the job.
        fraction: How much is done, from 0 to 1; 0 where ``state`` is not ``running``.
        text: One line: what the job said, or its error.
        attempt: 1 in the first attempt.
        worker: Who has it.
    """

    job_id: str
    group: str
    topic: str
    state: JobState
    fraction: float
    text: str
    attempt: int
    worker: str
