"""A sequenced reader's hold on the bus: its lease, its positions, and the commit that moves them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog

from libs.clock.live import monotonic_ns
from libs.engine.core import Batch
from libs.engine.metrics import HostMetrics
from libs.messagebus.errors import StateLostError, TransportError
from libs.messagebus.transport import START, Commit, Lease, Transport

_SECOND = 1_000_000_000
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_PROBE_SECONDS = 1.0
#: Readiness waits for two looks while data flow: a second between them was a third of the time to ready after a kill.
_CATCHING_UP_SECONDS = 0.1

T = TypeVar("T")


class Committer:
    """Commits batches one after the other and knows how far the reader has come.

    Attributes:
        lease: Epoch and counts taken at start.
        positions: Committed entry id by stream.
        commits: Commits so far, over all epochs.
        last_hash: Output hash of the last commit.
        last_progress_ns: Monotonic time of the last commit or idle moment.
        answered_ns: Monotonic time the transport last answered, 0 = never.
        caught_up: Whether it once had committed past everything a probe had seen before; readiness waits for it.
        behind: Streams with entries past the committed position at the last probe.
        is_busy: Whether a commit is on its way or being tried again.
    """

    def __init__(self, name: str, transport: Transport, metrics: HostMetrics) -> None:
        self._name = name
        self._transport = transport
        self._metrics = metrics
        self.lease = Lease(0, 0, {})
        self.positions: dict[str, str] = {}
        self.commits = 0
        self.last_hash = b""
        self.last_progress_ns = monotonic_ns()
        self.answered_ns = 0
        self.behind: list[str] = []
        self.caught_up = False
        self.is_busy = False
        self._mark: dict[str, str] = {}
        self._mark_ns = 0
        self._log = structlog.get_logger("host").bind(engine=name)

    async def acquire(self, streams: Sequence[str]) -> None:
        """Take the lease, fencing out older holders."""
        self.adopt(await self.retrying(lambda: self._transport.acquire(self._name, streams)))

    def adopt(self, lease: Lease) -> None:
        """Hold ``lease`` from now on."""
        self.lease = lease
        self.positions = dict(lease.positions)
        self.commits = lease.commits

    def followed(self, number: int, output_hash: bytes) -> None:
        """A standby has done commit ``number`` of its primary again."""
        self.commits, self.last_hash = number, output_hash
        self.last_progress_ns = monotonic_ns()

    def answered(self) -> None:
        """The transport has just answered."""
        self.answered_ns = monotonic_ns()

    async def commit(self, batch: Batch) -> None:
        """Make ``batch`` real, however often the transport has to be asked.

        Raises:
            FencedError: If another host of this engine took over.
        """
        commit = Commit(self._name, self.lease.epoch, self.commits + 1, batch.positions, batch.outputs, batch.journal)
        started = monotonic_ns()
        self.is_busy = True
        try:
            await self.retrying(lambda: self._transport.commit(commit))
        finally:
            self.is_busy = False
        self._metrics.observe_commit((monotonic_ns() - started) / _SECOND)
        self.commits = commit.number
        self.positions.update(batch.positions)
        self.last_hash = batch.output_hash
        self.last_progress_ns = monotonic_ns()

    async def retrying(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Repeat an idempotent operation until the transport answers."""
        failures = 0
        while True:
            try:
                result = await operation()
            except TransportError as error:
                self.on_transport_error(error)
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1
                continue
            self.answered()
            return result

    async def probe(self, streams: Sequence[str]) -> None:
        """Until cancelled, once a second: which streams have entries this reader has not committed past.

        Raises:
            StateLostError: If the bus holds older positions than were committed. A reader that is idle then would
                otherwise wait for ever, and a source in lockstep for it: it has done what the bus says is still to do.
        """
        while True:
            try:
                asked, committed = monotonic_ns(), dict(self.positions)
                tails = await self._transport.tails(streams)
                self._check_nothing_lost(committed, await self._transport.positions(self._name))
                self.answered()
                # Not "differs": what an outsider adds by hand is read, and no tail was written for it.
                self.behind = [name for name, tail in tails.items() if not self._is_past({name: tail})]
                self.caught_up = self.caught_up or not self.behind or bool(self._mark and self._is_past(self._mark))
                if self._is_past(self._mark):
                    self._mark, self._mark_ns = tails, asked
            except TransportError as error:
                self.on_transport_error(error)
            await asyncio.sleep(_PROBE_SECONDS if self.caught_up else _CATCHING_UP_SECONDS)

    @property
    def lag_seconds(self) -> float:
        """How long ago entries were there that this reader has not committed past yet.

        0 while everything the last probe saw is committed, so a lag under a second may not show. A busy reader is
        nearly always behind the newest entry; what is measured is whether it passes where the newest one was.
        """
        return 0.0 if self._is_past(self._mark) else (monotonic_ns() - self._mark_ns) / _SECOND

    def _check_nothing_lost(self, committed: Mapping[str, str], held: Mapping[str, str]) -> None:
        for stream, position in sorted(committed.items()):
            if _order(held.get(stream, START)) < _order(position):
                raise StateLostError(
                    f"position of '{self._name}' on '{stream}' must be {position} or later, was "
                    f"{held.get(stream, START)}: the log of the server went backward, it lost commits; restart this "
                    "host, which recovers from what is left"
                )

    def _is_past(self, tails: Mapping[str, str]) -> bool:
        return all(_order(self.positions.get(name, START)) >= _order(tail) for name, tail in tails.items())

    def on_transport_error(self, error: TransportError) -> None:
        """Log it; whoever called retries."""
        self._log.warning("bus_unreachable", error=str(error))


def _order(entry_id: str) -> tuple[int, int]:
    first, _, second = entry_id.partition("-")
    return int(first), int(second)
