"""Workers: jobs from consumer groups, at least once, with retries, dead letters and progress inside record batches."""

from libs.messagebus.workers.errors import (
    GroupLostError,
    InactiveError,
    JobCancelled,
    JobRejected,
    LetterError,
    LetterLostError,
    LetterSettledError,
    LetterUnknownError,
    SharedStreamError,
    WorkError,
)
from libs.messagebus.workers.job import Job
from libs.messagebus.workers.letters import LetterDesk, StoredLetter
from libs.messagebus.workers.memory_queue import MemoryWorkQueue
from libs.messagebus.workers.metrics import WorkerMetrics
from libs.messagebus.workers.opening import work_queue
from libs.messagebus.workers.policy import JobRoute, RetryPolicy, WorkerSettings, job
from libs.messagebus.workers.queue import WorkQueue
from libs.messagebus.workers.redis_queue import RedisWorkQueue
from libs.messagebus.workers.statistics import StreamFacts, TopicCounts, WorkerStatistics
from libs.messagebus.workers.worker import Worker

__all__ = [
    "GroupLostError",
    "InactiveError",
    "Job",
    "JobCancelled",
    "JobRejected",
    "JobRoute",
    "LetterDesk",
    "LetterError",
    "LetterLostError",
    "LetterSettledError",
    "LetterUnknownError",
    "MemoryWorkQueue",
    "RedisWorkQueue",
    "RetryPolicy",
    "SharedStreamError",
    "StoredLetter",
    "StreamFacts",
    "TopicCounts",
    "WorkError",
    "WorkQueue",
    "Worker",
    "WorkerMetrics",
    "WorkerSettings",
    "WorkerStatistics",
    "job",
    "work_queue",
]
