"""Doing journaled batches again: what recovery and a standby have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from libs.clock.live import monotonic_ns
from libs.engine.core import Batch, EngineCore
from libs.engine.divergence import describe_divergence
from libs.engine.errors import DeterminismError, OtherCodeError
from libs.engine.journal import JournalEntry
from libs.engine.replay_inputs import ReplayInputs, Retrying
from libs.engine.writer import Writer, strategies_of
from libs.messagebus.transport import Entry, Transport

#: The setting that lets one version replay what another wrote.
SWITCH = "NAUTILUS_REPLAY_OTHER_CODE=1"
#: A replay lets others run this often: the surface answers, and what was read ahead arrives.
_TURN_NS = 2_000_000
_log = structlog.get_logger("recovery")


class Replayer:
    """Does journaled batches again, one after the other, each compared with what was recorded.

    Args:
        core: In the state before the next batch to be done.
        accept_other_code: Replay what other code wrote.

    Attributes:
        from_other_code: Whether it has.
    """

    def __init__(
        self, core: EngineCore, transport: Transport, retrying: Retrying, *, accept_other_code: bool = False
    ) -> None:
        self.from_other_code = False
        self._core = core
        self._transport = transport
        self._accepts = accept_other_code
        self._inputs = ReplayInputs(core.engine.name, transport, retrying)
        self._turn_ns = monotonic_ns()

    def announce(self, entries: Sequence[tuple[int, JournalEntry]]) -> None:
        """Say which batches :meth:`replay` will be called for, in order, so that their input can be read ahead."""
        self._inputs.announce(entry for _, entry in entries)

    async def replay(self, number: int, entry: JournalEntry) -> Batch:
        """Do announced commit ``number`` again.

        Raises:
            OtherCodeError, TrimmedError, DeterminismError: See :func:`recover`.
        """
        core = self._core
        if entry.code != core.code:
            self._meet_other_code(number, Writer(entry.code, entry.strategies))
        entries: list[Entry] = []
        for span in entry.ranges:
            entries += await self._inputs.take(number, span)
        core.is_replaying = True
        try:
            batch = core.start(entry.ts_batch) if number == 1 else core.process(entries, entry.ts_batch)
        finally:
            core.is_replaying = False
        if entry.strategies != strategies_of(core.engine):
            self._meet_other_code(number, Writer(entry.code, entry.strategies))
        if batch.output_hash != entry.output_hash:
            told = await describe_divergence(self._transport, core, number, entry, entries, batch)
            raise DeterminismError(f"{told}; {self._reason(Writer(entry.code, entry.strategies))}")
        if monotonic_ns() - self._turn_ns > _TURN_NS:
            await asyncio.sleep(0)
            self._turn_ns = monotonic_ns()
        return batch

    async def close(self) -> None:
        """Forget what was read ahead."""
        await self._inputs.close()

    def _meet_other_code(self, number: int, wrote: Writer) -> None:
        if not self._accepts:
            raise OtherCodeError(
                f"commit {number} of '{self._core.engine.name}' must be replayed by the version that wrote it, "
                f"{wrote}, was this one, {self._core.writer}; start that version and stop it in order, then start this "
                f"one, or set {SWITCH} to have this code replay it with every output compared"
            )
        if not self.from_other_code:
            _log.warning(
                "replaying_other_code", engine=self._core.engine.name, commit=number, wrote=str(wrote),
                this=str(self._core.writer),
            )  # fmt: skip
        self.from_other_code = True

    def _reason(self, wrote: Writer) -> str:
        if wrote == self._core.writer:
            return (
                f"the same version {wrote} wrote it, so this is a determinism bug or a changed journal or stream: keep "
                "the data for whoever mends it, and restore a backup or begin with a new data directory"
            )
        return (
            f"version {wrote} wrote it and this is {self._core.writer}, so the code may have been changed to behave "
            "otherwise: start the version that wrote it and stop it in order, then start this one"
        )
