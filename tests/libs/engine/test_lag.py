"""Lag: measured by whether a reader passes where the newest entry was, not by whether it stands at the newest."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from libs.engine.committer import Committer
from libs.engine.metrics import HostMetrics
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import Output


async def _probe(committer: Committer) -> None:
    """One look of the probe, which would look again a second later."""
    task = asyncio.create_task(committer.probe(["market:normal"]))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


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

        committer.positions["market:normal"] = "2-0"
        assert committer.lag_seconds == 0.0
        await transport.append("p", 2, 1, [Output("market:normal", b"x")])
        await _probe(committer)
        assert committer.behind == ["market:normal"]  # never at the very end
        assert committer.caught_up  # yet past all that was there before

        committer.positions["market:normal"] = "3-0"
        await _probe(committer)
        assert committer.behind == []
        assert committer.lag_seconds == 0.0

    asyncio.run(main())
