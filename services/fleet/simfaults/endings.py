"""How a process may end when faults are simulated; every other ending is a finding."""

from __future__ import annotations

from libs.engine.errors import DeterminismError, SnapshotError
from libs.messagebus.errors import FencedError, PublishError, StateLostError, TrimmedError
from services.fleet.simfaults.process import SimulatedProcess


def is_expected(process: SimulatedProcess, error: BaseException, newest_epoch: int, generation: int) -> bool:
    """Whether a process may end with ``error``.

    Args:
        newest_epoch: Of its engine.
        generation: Failovers of the bus so far.
    """
    match error:
        case FencedError():
            epoch = process.host.committer.lease.epoch
            return newest_epoch > epoch or (newest_epoch < epoch and generation > process.generation)
        case TrimmedError() if process.host.standby is not None and not process.has_begun:
            return True  # a standby that was too slow says so and is started anew
        case TrimmedError() | SnapshotError() | DeterminismError() if not process.has_begun:
            return generation > process.generation  # the bus changed under its recovery: it stopped
        case StateLostError() | PublishError():
            return generation > 0
        case _:
            return False
