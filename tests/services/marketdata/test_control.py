"""Pause, resume, seek and speed as commands."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts.market import ControlFeed, FeedStateChanged, ReportFeedState
from libs.engine.errors import CommandRefused
from libs.testing.engine_harness import EngineHarness
from services.marketdata.engine import MarketDataEngine
from services.marketdata.stepping import step_groups
from tests.services.marketdata.builders import DAY, day_batch, settings

OPENING = ReportFeedState(DAY, "replay", "running", "9 days", 30.0, DAY, 9 * DAY, 9)


def control(action: Any, **fields: Any) -> ControlFeed:
    return ControlFeed(0, "replay", action, "ops", **fields)


@pytest.fixture
def harness() -> EngineHarness:
    made = EngineHarness(lambda clock, outbox: MarketDataEngine(clock, outbox, settings()))
    made.send(OPENING)
    for group in step_groups("replay", day_batch(2, "A.X", define=True)):
        made.send(*group)
    made.published.clear()
    return made


def test_pause_and_resume_are_announced_once(harness: EngineHarness) -> None:
    harness.send(control("pause", reason="lunch"), control("pause"), control("resume"), control("resume"))
    assert [(one.state, one.detail, one.ts_event) for one in harness.of_type(FeedStateChanged)] == [
        ("paused", "paused (by ops: lunch)", 2 * DAY),
        ("running", "resumed (by ops)", 2 * DAY),
    ]


def test_a_restarted_adapter_does_not_end_a_pause(harness: EngineHarness) -> None:
    harness.send(control("pause"))
    harness.restart()
    harness.send(OPENING)
    assert [one.state for one in harness.of_type(FeedStateChanged)] == ["paused"]
    assert harness.engine.state.feeds["replay"].is_paused


def test_speed_survives_a_restart_until_the_setting_changes(harness: EngineHarness) -> None:
    harness.send(control("speed", speed=5.0), control("speed", speed=5.0))
    assert [(one.speed, one.detail) for one in harness.of_type(FeedStateChanged)] == [
        (5.0, "speed 5 steps a second (by ops)")
    ]
    harness.restart()
    harness.send(OPENING)
    assert harness.engine.state.feeds["replay"].speed == 5.0
    harness.send(ReportFeedState(DAY, "replay", "running", "9 days", 60.0, DAY, 9 * DAY, 9))
    assert harness.engine.state.feeds["replay"].speed == 60.0


def test_seek_goes_forward(harness: EngineHarness) -> None:
    harness.send(control("seek", to_ns=7 * DAY))
    assert harness.engine.state.feeds["replay"].resume_ns == 7 * DAY
    assert (
        "goes on from 1970-01-08T00:00:00Z; what lies before is left out (by ops)"
        in harness.of_type(FeedStateChanged)[0].detail
    )


@pytest.mark.parametrize(
    ("command", "status", "code", "text"),
    [
        (
            control("seek", to_ns=2 * DAY),
            409,
            "time-backwards",
            f"must be after {2 * DAY} (1970-01-03T00:00:00Z), for time",
        ),
        (control("seek", to_ns=-1), 409, "time-backwards", "was -1"),
        (control("seek", to_ns=10 * DAY), 422, "out-of-range", "must be at most"),
        (control("speed", speed=-1.0), 422, "out-of-range", "must lie between 0 and 1e+06 steps a second, was -1.0"),
        (control("speed", speed=float("nan")), 422, "out-of-range", "was nan"),
        (ControlFeed(0, "nobody", "pause", "ops"), 404, "unknown-feed", "must be one of replay, was 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused(
    harness: EngineHarness, command: ControlFeed, status: int, code: str, text: str
) -> None:
    with pytest.raises(CommandRefused) as caught:
        harness.send(command)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert text in caught.value.detail
    assert caught.value.remedy
    assert harness.published == []


@pytest.mark.parametrize("action", ["pause", "resume", "seek", "speed"])
def test_an_ended_feed_is_not_steered(harness: EngineHarness, action: str) -> None:
    harness.send(ReportFeedState(0, "replay", "finished", "", 30.0, DAY, 9 * DAY, 9))
    with pytest.raises(CommandRefused, match=f"is finished, so it cannot {action}"):
        harness.send(control(action, to_ns=5 * DAY))


def test_a_feed_that_replays_nothing_is_not_steered() -> None:
    harness = EngineHarness(lambda clock, outbox: MarketDataEngine(clock, outbox, settings()))
    harness.send(*step_groups("replay", day_batch(1, "A.X", define=True))[0])
    with pytest.raises(CommandRefused, match="replays nothing, so it cannot pause"):
        harness.send(control("pause"))
