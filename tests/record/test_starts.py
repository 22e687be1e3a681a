"""Where a replay begins and under which clock, on a small engine whose every output carries its clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.clock import TestClock
from libs.contracts.market import TradeReceived
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.component import Component
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Outbox
from libs.engine.snapshot import take_image
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.transport import Commit, Output, StoredSnapshot
from services.fleet.record.bus import reading_transport
from services.fleet.record.container import ContainerWriter, Header
from services.fleet.record.errors import RecordingError, ReplayImpossibleError
from services.fleet.record.recorder import Summary, record
from services.fleet.record.recording import Recording
from services.fleet.record.replay import ReplayRun, replay
from services.fleet.record.state_view import narrowed, readable
from tests.libs.engine.echo_engine import EchoEngine

ECHO = Component("echo", EchoEngine, None)


async def recorded(
    path: Path, *, follow_events: bool, snapshots: tuple[int, ...] = (), trim: int = 0, damage: tuple[int, ...] = ()
) -> Summary:
    """Twenty commits of a trade each; the clock is that of the trades, or a wall clock that runs on its own."""
    transport, clock, outbox = MemoryTransport(), TestClock(), Outbox()
    core = EngineCore(EchoEngine(clock, outbox), clock, outbox, CODEC, REGISTRY, follow_events=follow_events)
    lease = await transport.acquire("echo", list(core.streams))
    positions: dict[str, str] = {}

    async def commit(number: int, batch: Batch) -> None:
        positions.update(batch.positions)
        await transport.commit(Commit("echo", lease.epoch, number, positions, batch.outputs, batch.journal))
        if number in snapshots:
            image = take_image(core, number, dict(positions))
            if number in damage:
                image = StoredSnapshot(number, image.data[:-1])
            await transport.save_snapshot("echo", lease.epoch, image, positions)

    await commit(1, core.start(1_000))
    for number in range(2, 21):
        trade = TradeReceived(1_000 + number, "KO", 1.0, 1.0, "buy", "test")
        data = CODEC.encode(RecordBatch("m", number, 0, [trade]))
        await transport.append("m", number, 1, [Output("market:normal", data)])
        entries = await transport.read({"market:normal": positions.get("market:normal", "0-0")}, 10, 0)
        now = core.clock.timestamp_ns() if follow_events else 5_000_000 + number * 977
        await commit(number, core.process(entries, now))
    if trim:
        await transport.trim({"market:normal": trim})
    with ContainerWriter(path) as writer:
        return await record(transport, writer, Header(0, "x", "a test", ["echo"]), REGISTRY.streams())


def run(path: Path, from_commit: int | None = None) -> ReplayRun:
    async def work() -> ReplayRun:
        with Recording(path) as recording:
            return await replay(recording, ECHO, from_commit=from_commit)

    return asyncio.run(work())


@pytest.mark.parametrize("follow_events", [True, False])
@pytest.mark.parametrize(("from_commit", "expected"), [(None, 0), (9, 8), (15, 14), (20, 14), (3, 0)])
def test_the_clock_and_the_start_are_found(
    tmp_path: Path, follow_events: bool, from_commit: int | None, expected: int
) -> None:
    path = tmp_path / "r"
    asyncio.run(recorded(path, follow_events=follow_events, snapshots=(8, 14)))
    found = run(path, from_commit)
    assert (found.started_after, found.last_commit, found.divergence) == (expected, 20, None)
    assert found.commits == 20 - expected


@pytest.mark.parametrize("follow_events", [True, False])
def test_without_snapshots_it_begins_at_the_beginning(tmp_path: Path, follow_events: bool) -> None:
    asyncio.run(recorded(tmp_path / "r", follow_events=follow_events))
    found = run(tmp_path / "r")
    assert (found.started_after, found.commits, found.divergence) == (0, 20, None)


def test_a_damaged_snapshot_is_passed_over_with_a_remark(tmp_path: Path) -> None:
    asyncio.run(recorded(tmp_path / "r", follow_events=True, snapshots=(8, 14), damage=(8,), trim=1))
    found = run(tmp_path / "r")
    assert (found.started_after, found.commits, found.divergence) == (14, 6, None)
    assert any("snapshot 8 of 'echo' is damaged" in remark for remark in found.remarks)


def test_trimmed_input_is_no_start(tmp_path: Path) -> None:
    summary = asyncio.run(recorded(tmp_path / "r", follow_events=True, snapshots=(8, 14), trim=1))
    assert summary.gaps == []
    assert run(tmp_path / "r").started_after == 8
    with Recording(tmp_path / "r") as recording:
        assert recording.first_entry("market:normal") == "8-0"


def test_an_engine_without_any_start_is_refused_in_words(tmp_path: Path) -> None:
    asyncio.run(recorded(tmp_path / "r", follow_events=True, snapshots=(8, 14), damage=(8, 14), trim=1))
    with pytest.raises(ReplayImpossibleError, match="snapshot 8 of 'echo' is damaged"):
        run(tmp_path / "r")


def test_the_bus_of_a_running_fleet_is_found_by_its_data_directory(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server, reading_transport("", tmp_path) as (transport, source):
        assert source == f"the running fleet in {tmp_path}"
        assert str(server.port) in repr(transport)
    with reading_transport("", tmp_path) as (transport, source):
        assert source == f"the stopped fleet in {tmp_path}"


def test_paths_into_a_state_follow_keys_with_dots_tuples_lists_and_encoded_parts() -> None:
    state = readable({"marks": {"KO.XNYS": {"price": 1.5}}, "held": {("main", "KO"): [1, 2]}, "bad": float("nan")})
    assert narrowed(state, "marks.KO.XNYS.price") == 1.5
    assert narrowed(state, "held.main|KO.-1") == 2
    assert narrowed(state, ".") == state
    assert state["bad"] == "nan"
    with pytest.raises(RecordingError, match=r"lost at 'X' below 'marks'; there is KO.XNYS"):
        narrowed(state, "marks.X")
