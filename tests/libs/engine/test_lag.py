"""Lag: measured by whether a reader passes where the newest entry was, not by whether it stands at the newest."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from libs.engine.committer import Committer
from libs.engine.core import Batch
from libs.engine.metrics import HostMetrics
from libs.messagebus.errors import StateLostError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import Output


async def _probe(committer: Committer) -> None:
    """One look of the probe, which would look again a second later."""
    task = asyncio.create_task(committer.probe(["market:normal"]))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(ended, StateLostError):
        raise ended


async def _commit(committer: Committer, position: str) -> None:
    await committer.commit(Batch({"market:normal": position}, [], b"", b""))


def test_a_busy_reader_that_keeps_up_does_not_lag_and_one_that_stands_still_does() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        await transport.connect()
        committer = Committer("features", transport, HostMetrics(CollectorRegistry(), "features"))
        await committer.acquire(["market:normal"])
        for number in range(2):
            await transport.append("p", number, 1, [Output("market:normal", b"x")])
        await _probe(committer)
        assert committer.behind == ["market:normal"]
        assert not committer.caught_up
        first = committer.lag_seconds
        assert 0 < first < committer.lag_seconds  # a backlog nobody works off ages

        await _commit(committer, "2-0")
        assert committer.lag_seconds == 0.0
        await transport.append("p", 2, 1, [Output("market:normal", b"x")])
        await _probe(committer)
        assert committer.behind == ["market:normal"]  # never at the very end
        assert committer.caught_up  # yet past all that was there before

        await _commit(committer, "3-0")
        await _probe(committer)
        assert committer.behind == []
        assert committer.lag_seconds == 0.0

    asyncio.run(main())


def test_an_idle_reader_whose_commits_the_bus_lost_ends_instead_of_keeping_a_lockstep_source_waiting() -> None:
    """Found by simulated failovers: it had done what the bus said was still to do, and nothing more ever came."""

    async def main() -> None:
        transport, replica = MemoryTransport(), MemoryTransport()
        for bus in (transport, replica):
            await bus.connect()
            await bus.append("p", 0, 1, [Output("market:normal", b"x")])
        committer = Committer("features", transport, HostMetrics(CollectorRegistry(), "features"))
        await committer.acquire(["market:normal"])
        await _commit(committer, "1-0")
        await _probe(committer)
        await replica.acquire("features", ["market:normal"])
        committer._transport = replica  # it has the entry, the lease and not the commit
        with pytest.raises(StateLostError, match="must be 1-0 or later, was 0-0: the log of the server went backward"):
            await _probe(committer)

    asyncio.run(main())
