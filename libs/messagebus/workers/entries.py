"""Entries a worker has taken and not finished: what is left of each, and what was not written down yet."""

from __future__ import annotations

from typing import Any

from libs.messagebus.envelope import RecordBatch
from libs.messagebus.transport import Entry
from libs.messagebus.workers.job import CancelReason, Job
from libs.messagebus.workers.queue import Failure, Letter, Settlement, Standing


class OpenEntry:
    """One taken entry.

    Attributes:
        total: Events in it that have to be settled.
        left: Of them, those that are not.
        careful: It was taken over from a worker that may have died of it; see :mod:`libs.messagebus.workers.runner`.
        gone: Nothing about it matters any more: somebody else has it, or its group was lost.
        running: Jobs of it that run now.
    """

    __slots__ = (
        "_failed", "_letters", "_settled", "batch", "careful", "entry", "gone", "left", "running", "standing", "total",
    )  # fmt: skip

    def __init__(self, entry: Entry, batch: RecordBatch, total: int, careful: bool, standing: Standing) -> None:
        self.entry = entry
        self.batch = batch
        self.total = total
        self.left = total - len(standing.settled)
        self.careful = careful
        self.standing = standing
        self.gone = False
        self.running: dict[int, Job[Any]] = {}
        self._settled: list[int] = []
        self._failed: dict[int, Failure] = {}
        self._letters: list[Letter] = []

    @property
    def entry_id(self) -> str:
        """Where it lies."""
        return self.entry.entry_id

    @property
    def is_urgent(self) -> bool:
        """Whether there is something to write down before any job of it has ended."""
        return not self.left or bool(self._letters)

    def settle(self, index: int) -> None:
        """Event ``index`` needs no more work."""
        self._settled.append(index)
        self._failed.pop(index, None)
        self.left -= 1

    def fail(self, failure: Failure) -> None:
        """An event is to be tried again."""
        self._failed[failure.index] = failure

    def give_up(self, letter: Letter) -> None:
        """An event goes to the dead letters."""
        self._letters.append(letter)
        self._failed.pop(letter.index, None)
        self.left -= 1

    def take_news(self) -> Settlement:
        """What happened since the last call."""
        news = Settlement(self.entry_id, self.total, self._settled, list(self._failed.values()), self._letters)
        self._settled, self._failed, self._letters = [], {}, []
        return news

    def abandon(self, reason: CancelReason) -> None:
        """Nothing more is done for it here; what runs is asked to end."""
        self.gone = True
        for running in self.running.values():
            running.cancel_reason = reason
