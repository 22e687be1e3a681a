"""The replay over real parts: lockstep, pace, pause, seek, and what it does when something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from libs.contracts.market import (
    BarClosed,
    CloseReceived,
    ControlFeed,
    FeedStateChanged,
    IngestMarketData,
    InstrumentDefined,
    StepClosed,
)
from libs.messagebus.topic import Event
from services.marketdata.stepping import REPLAY_FEED, ingest_commands
from tests.services.marketdata.builders import (
    DAY,
    Fleet,
    Stopped,
    day_batch,
    fleet_of,
    run_until_stopped,
    settings,
    source,
    ts,
)


def steps(fleet: Fleet) -> list[StepClosed]:
    return [event for event in fleet.published if isinstance(event, StepClosed)]


def days(fleet: Fleet) -> list[int]:
    return [(event.ts_event - ts("2019-12-31T21:00:00")) // DAY for event in steps(fleet) if event.stage == "decide"]


def control(fleet: Fleet, action: Any, **fields: Any) -> None:
    fleet.simulation.post(ControlFeed(0, REPLAY_FEED, action, "ops", **fields))


def test_every_timestamp_is_published_and_closed_in_lockstep(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, days=3)
    run_until_stopped(fleet)
    kinds = [type(event).__name__ for event in fleet.published]
    a_day = ["CloseReceived", "CloseReceived", "StepClosed", "StepClosed", "StepClosed"]
    assert kinds == [
        "FeedStateChanged", "InstrumentDefined", "InstrumentDefined", *a_day, *a_day, *a_day, "FeedStateChanged",
    ]  # fmt: skip
    assert [(one.step, one.stage) for one in steps(fleet)] == [
        (step, stage) for step in (1, 2, 3) for stage in ("mark", "assess", "decide")
    ]
    assert fleet.posted_while_busy == []
    assert not fleet.simulation.dead
    assert (fleet.progress.ingest.count, fleet.progress.step.count) == (3, 3)
    states = [(one.state, one.detail) for one in fleet.published if isinstance(one, FeedStateChanged)]
    assert states == [
        ("running", "3 timestamps with 6 records from 2020-01-01T21:00:00Z to 2020-01-03T21:00:00Z"),
        ("finished", "the last timestamp, 2020-01-03T21:00:00Z, is published"),
    ]


def test_running_free_publishes_the_same_and_stays_within_its_window(tmp_path: Path) -> None:
    locked = fleet_of(tmp_path, days=7)
    run_until_stopped(locked)
    free = fleet_of(tmp_path, days=7, lockstep=False, free_running_window=3)
    run_until_stopped(free)
    assert free.published == locked.published
    assert free.posted_while_busy
    ingests = [isinstance(one, IngestMarketData) for one in free.posted_while_busy]
    # In a window of three the first ingest finds a quiet fleet: two of three are sent ahead.
    assert sum(ingests) == 2 + 2 + 0


def test_a_second_run_continues_where_the_first_stopped(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, days=4)
    whole = fleet_of(tmp_path, days=4)
    run_until_stopped(whole)

    def stop_after_two_days() -> None:
        if fleet.engine.state.step == 2:
            raise Stopped

    fleet.on_sleep = stop_after_two_days
    run_until_stopped(fleet)
    assert days(fleet) == [1, 2]
    fleet.on_sleep = fleet.stop_when_finished
    run_until_stopped(fleet)
    assert fleet.published == whole.published
    before = len(fleet.posted)
    fleet.on_sleep = lambda: (_ for _ in ()).throw(Stopped()) if len(fleet.posted) > before else None
    run_until_stopped(fleet)  # a third run finds nothing left and says nothing new
    assert fleet.published == whole.published


def test_the_pace_is_kept(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, days=5, speed=2.0)
    begun: list[float] = []

    def note(command: Event) -> None:
        if isinstance(command, IngestMarketData):
            begun.append(fleet.now_ns / 1e9)

    fleet.before_post = note
    run_until_stopped(fleet)
    gaps = [round(later - begun[0], 3) for later in begun]
    assert gaps == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_pause_holds_before_the_next_timestamp_until_resume(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, days=4)
    looks = 0

    def act() -> None:
        nonlocal looks
        fleet.stop_when_finished()
        state = fleet.engine.state
        if state.step == 0 and state.feeds.get(REPLAY_FEED) and state.feeds[REPLAY_FEED].is_open:
            control(fleet, "pause")
        if state.feeds.get(REPLAY_FEED) and state.feeds[REPLAY_FEED].is_paused and state.step == 1:
            looks += 1
            assert state.feeds[REPLAY_FEED].state == "paused"
            if looks == 5:
                control(fleet, "resume")

    fleet.on_sleep = act
    run_until_stopped(fleet)
    assert looks >= 5
    assert days(fleet) == [1, 2, 3, 4]
    assert [one.state for one in fleet.published if isinstance(one, FeedStateChanged)] == [
        "running",
        "paused",
        "running",
        "finished",
    ]


def test_a_seek_leaves_out_what_lies_before_and_keeps_instruments(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("timestamp,A,B\n2020-01-01,1,\n2020-01-02,2,\n2020-01-03,3,30\n2020-01-04,4,\n2020-01-05,5,50\n")
    late = source(path, symbols={"A": "A.XNAS", "B": "B.XNAS"}, timestamp={"unit": "date"})
    fleet = Fleet(settings(late))

    def act() -> None:
        fleet.stop_when_finished()
        if fleet.engine.state.step == 1 and not fleet.engine.state.feeds[REPLAY_FEED].seek_to_ns:
            control(fleet, "seek", to_ns=ts("2020-01-05T00:00:00"))

    fleet.on_sleep = act
    run_until_stopped(fleet)
    assert days(fleet)[0] == 1
    assert days(fleet)[-1] == 5
    assert 4 not in days(fleet)
    priced = {event.symbol for event in fleet.published if isinstance(event, CloseReceived)}
    defined = [event.symbol for event in fleet.published if isinstance(event, InstrumentDefined)]
    assert sorted(priced) == sorted(defined) == ["A.XNAS", "B.XNAS"]
    assert [one.step for one in steps(fleet) if one.stage == "decide"] == list(range(1, len(days(fleet)) + 1))


def test_a_speed_set_while_running_takes_effect(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, days=4, speed=0.01)

    def act() -> None:
        fleet.stop_when_finished()
        if fleet.engine.state.step == 1:
            control(fleet, "speed", speed=0.0)

    fleet.on_sleep = act
    run_until_stopped(fleet)
    assert days(fleet) == [1, 2, 3, 4]
    assert fleet.now_ns < 1_000_000_000


def test_what_is_ingested_by_hand_is_closed(tmp_path: Path) -> None:
    fleet = Fleet(settings())
    ingest = next(ingest_commands("ingest", day_batch(1, "A.X", define=True)))

    def act() -> None:
        if fleet.now_ns > 30_000_000 and not fleet.engine.state.feeds:
            fleet.simulation.post(ingest)
        if fleet.engine.state.step == 1:
            raise Stopped

    fleet.on_sleep = act
    run_until_stopped(fleet)
    assert [(one.ts_event, one.stage, one.source) for one in steps(fleet)] == [
        (DAY, "mark", "ingest"), (DAY, "assess", "ingest"), (DAY, "decide", "ingest"),
    ]  # fmt: skip
    assert fleet.posted_while_busy == []


def test_the_real_index_bars_travel_whole() -> None:
    fleet = Fleet(settings("arch.sp500", start_date="2018-12-27"))
    run_until_stopped(fleet)
    bars = [event for event in fleet.published if isinstance(event, BarClosed)]
    assert [round(one.close, 2) for one in bars] == [2488.83, 2485.74, 2506.85]
