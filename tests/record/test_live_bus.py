"""Recording a fleet on a real Redis: while it runs, while it goes on, and after it stopped."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

from libs.contracts.fleet import READERS
from libs.contracts.orders import OrderFilled
from libs.contracts.topics import CODEC
from libs.engine.process import Process
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import LAST, START
from services.fleet.members import engine_components
from services.fleet.record.commands import run_record, run_replay, run_trace
from services.fleet.record.recording import Recording
from services.fleet.record.replay import ReplayRun, replay
from tests.record.recorded import market, record_bus
from tests.support.fleet import run_fleet, until_feed


def replayed(path: Path) -> dict[str, ReplayRun]:
    components = {one.name: one for one in engine_components()}

    async def work() -> dict[str, ReplayRun]:
        with Recording(path) as recording:
            return {name: await replay(recording, components[name]) for name in READERS}

    return asyncio.run(work())


def a_fill(path: Path) -> str:
    with Recording(path) as recording:
        for entry in reversed(recording.entries("orders:high", START, LAST, 100_000)):
            batch = CODEC.decode(entry.data)
            for index, event in enumerate(batch.events):
                if isinstance(event, OrderFilled):
                    return batch.event_id(index)
    raise AssertionError("nothing was filled")


def test_recordings_made_live_followed_and_afterwards_replay_identically(tmp_path: Path) -> None:
    early, followed, stopped = (tmp_path / name for name in ("early", "followed", "stopped"))
    data_dir = tmp_path / "var"

    async def main(url: str) -> None:
        reading = RedisTransport(url)

        async def work(process: Process) -> None:
            engine = process.members["marketdata"].host.engine  # type: ignore[union-attr]
            async with asyncio.timeout(120):
                while engine.state.step < 20:  # type: ignore[attr-defined]
                    await asyncio.sleep(0.005)
            assert (await record_bus(reading, early)).gaps == []
            stop = asyncio.Event()
            following = asyncio.create_task(record_bus(reading, followed, stop))
            await until_feed(process, "finished")
            stop.set()
            summary = await following
            assert summary.gaps == []

        try:
            await run_fleet(RedisTransport(url), market(date(1990, 5, 1)), data_dir, work, snapshot_seconds=3.0)
        finally:
            await reading.close()

    with EmbeddedRedis(data_dir / "redis") as server:
        asyncio.run(main(server.url))
    runs = {path: replayed(path) for path in (early, followed)}
    for found in runs.values():
        assert {name: run.divergence for name, run in found.items()} == dict.fromkeys(READERS)
        assert any(run.commits for run in found.values())  # right behind its first snapshot an engine has none
    assert all(run.commits for run in runs[followed].values())
    # The first began behind snapshots (journals are trimmed at them), the followed one goes on where those end.
    assert all(runs[followed][name].last_commit > runs[early][name].last_commit for name in READERS)
    after_the_end(stopped, data_dir, followed)


def after_the_end(path: Path, data_dir: Path, followed: Path) -> None:
    assert run_record(path, "", data_dir, follow=False) == 0
    found = replayed(path)
    assert {name: run.divergence for name, run in found.items()} == dict.fromkeys(READERS)
    with Recording(followed) as before, Recording(path) as now:
        assert "stopped fleet" in now.header.source
        assert now.header.settings["FEATURES_PORT"]
        assert now.entries("orders:high", START, LAST, 100_000) == before.entries("orders:high", START, LAST, 100_000)
    fill = a_fill(path)
    assert run_trace(fill, path, "", None, sources=False, as_json=True) == 0
    assert run_trace(fill, None, "", data_dir, sources=False, as_json=True) == 0


def test_the_commands_say_how_it_went_by_their_exit_codes(tmp_path: Path, capsys: object) -> None:
    from tests.record.recorded import recording_path

    path = recording_path()
    assert run_replay(path, "risk", from_commit=None, until="", inspect=None, as_json=False) == 0
    assert run_replay(path, "nobody", from_commit=None, until="", inspect=None, as_json=False) == 2
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[:-5_000])
    assert run_replay(cut, "risk", from_commit=None, until="", inspect=None, as_json=False) == 2
    assert run_trace("strategy:999999", path, "", None, sources=False, as_json=False) == 2
    assert run_record(path, "", tmp_path, follow=False) == 2
    out, err = capsys.readouterr()  # type: ignore[attr-defined]
    assert "risk: identical from the beginning on" in out
    assert "cut off or damaged" in err
    assert "there must be a fleet's bus under" in err
