"""A live replay in lockstep through a real Redis does what the simulation did, also across restarts and kills."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

from libs.engine.process import Process
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.redis.transport import RedisTransport
from services.fleet.report import RunReport
from services.fleet.simulate import simulate
from services.marketdata.settings import MarketDataSettings
from tests.support.fleet import report_of, run_fleet, until_feed


def market() -> MarketDataSettings:
    return MarketDataSettings(start_date=date(1990, 1, 1), end_date=date(1990, 6, 1), speed=0)


def same(live: RunReport, simulated: RunReport) -> None:
    assert live.fills > 40
    assert (live.tape_events, live.order_tape) == (simulated.tape_events, simulated.order_tape)
    assert live.snapshot == simulated.snapshot
    assert live.performance == simulated.performance


def test_redis_in_lockstep_equals_the_simulation(tmp_path: Path) -> None:
    tapes: list[str] = []

    async def work(process: Process) -> None:
        await until_feed(process, "finished")
        host = process.members["strategy"].host
        assert host is not None
        tapes.append(host.engine.status()["order_tape"])

    async def main(url: str) -> RunReport:
        transport = RedisTransport(url)
        await run_fleet(transport, market(), tmp_path / "var", work)
        reading = RedisTransport(url)
        try:
            return await report_of(reading)
        finally:
            await reading.close()

    with EmbeddedRedis(tmp_path / "redis") as server:
        live = asyncio.run(main(server.url))
    same(live, simulate(market()).report)
    assert tapes == [live.order_tape]


def test_memory_in_lockstep_equals_the_simulation(tmp_path: Path) -> None:
    live = RunReport()

    async def main() -> None:
        transport = MemoryTransport()

        async def work(process: Process) -> None:
            nonlocal live
            await until_feed(process, "finished")
            live = await report_of(transport)

        await run_fleet(transport, market(), tmp_path / "var", work)

    asyncio.run(main())
    same(live, simulate(market()).report)


def test_a_fleet_stopped_and_started_again_goes_on_where_it_was(tmp_path: Path) -> None:
    stops = (30, 70)

    async def main(url: str) -> RunReport:
        for steps in (*stops, 0):

            async def work(process: Process, steps: int = steps) -> None:
                engine = process.members["marketdata"].host.engine  # type: ignore[union-attr]
                if not steps:
                    await until_feed(process, "finished")
                    return
                async with asyncio.timeout(60):
                    while engine.state.step < steps:  # type: ignore[attr-defined]
                        await asyncio.sleep(0.005)

            await run_fleet(RedisTransport(url), market(), tmp_path / "var", work)
        reading = RedisTransport(url)
        try:
            return await report_of(reading)
        finally:
            await reading.close()

    with EmbeddedRedis(tmp_path / "redis") as server:
        live = asyncio.run(main(server.url))
    same(live, simulate(market()).report)
