"""The health rules, one line each: what is wrong is named, what is normal is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.contracts.system import EngineState
from libs.engine.health import HealthLimits, checks_of, is_healthy, reasons_of, status_of, waiting_for
from libs.engine.settings import BusSettings
from libs.engine.vitals import Halt, InputFact, StandbyFact, TaskFact, UpstreamFact, Vitals
from services.gateway.settings import GatewaySettings

WELL = Vitals(
    state="running",
    epoch=3,
    uptime_seconds=100.0,
    progress_age_seconds=0.5,
    bus_age_seconds=0.5,
    inputs=(InputFact("marketdata.bar", 1, 2.0, 7),),
    tasks=(TaskFact("features.host", "running"), TaskFact("features.seed", "finished")),
    upstreams=(UpstreamFact("marketdata", 1.0),),
    snapshot_age_seconds=3600.0,
)


def _input(age: float | None, limit: float | None) -> Vitals:
    return replace(WELL, inputs=(InputFact("marketdata.bar", None, age, 0, limit),))


def _task(task: TaskFact) -> Vitals:
    return replace(WELL, tasks=(task,))


def _upstream(age: float | None, uptime: float = 100.0) -> Vitals:
    return replace(WELL, uptime_seconds=uptime, upstreams=(UpstreamFact("features", age),))


def _standby(lag_commits: int, lag_seconds: float) -> Vitals:
    fact = StandbyFact(3, 40, lag_commits, lag_seconds, 0.1, 1.0)
    stale = (InputFact("marketdata.bar", None, None, 0, 5.0),)  # its primary reads, it does not
    return replace(WELL, state="standby", epoch=0, inputs=stale, standby=fact)


HEALTHY = {
    "as it should be": WELL,
    "idle for an hour, nothing waits": replace(WELL, progress_age_seconds=3600.0),
    "busy, making progress": replace(WELL, lag_entries=9, lag_seconds=4.0, progress_age_seconds=29.0),
    "an old dead letter": replace(WELL, dead_letters=2, dead_letter_age_seconds=61.0),
    "halted: a state, not a fault": replace(WELL, halts=(Halt("all", "", "drill", "ann"),)),
    "an input that may be silent": _input(1e6, None),
    "a required input, fresh": _input(4.9, 5.0),
    "a required input, not arrived yet but just started": replace(_input(None, 200.0), uptime_seconds=100.0),
    "an upstream not heard yet, just started": _upstream(None, uptime=8.9),
    "an upstream heard lately": _upstream(7.9),
    "a bus that has not answered in the first instant": replace(WELL, bus_age_seconds=None, uptime_seconds=1.0),
    "a task at work": _task(TaskFact("websocket.fanout", "running", 1.0, 5.0)),
    "a resting task without a limit": _task(TaskFact("websocket.fanout", "running", 1e6)),
}

BROKEN = {
    "a standby that cannot follow": (
        _standby(900, 5.1),
        "standby has followed to commit 40, 900 behind for 5.1 s",
    ),
    "the bus is lost": (replace(WELL, bus_age_seconds=5.1), "message bus answered 5.1 s ago"),
    "the bus never answered": (replace(WELL, bus_age_seconds=None), "message bus has not answered yet"),
    "no progress under lag": (
        replace(WELL, lag_entries=4, progress_age_seconds=31.0),
        "4 or more entries wait, last progress 31.0 s ago",
    ),
    "the loop is stuck": (replace(WELL, loop_tick_age_seconds=5.5), "event loop ran 5.5 s ago"),
    "a new dead letter": (
        replace(WELL, dead_letters=1, dead_letter_age_seconds=0.2),
        "dead letters since the start: 1, newest 0.2 s ago",
    ),
    "a dead task": (
        _task(TaskFact("features.host", "failed", error="ValueError: x")),
        "task features.host failed: ValueError: x",
    ),
    "a task that hangs": (
        _task(TaskFact("websocket.fanout", "running", 5.2, 5.0)),
        "task websocket.fanout made no progress for 5.2 s",
    ),
    "a stale required input": (_input(5.1, 5.0), "input marketdata.bar is 5.1 s old"),
    "a required input that never came": (_input(None, 5.0), "input marketdata.bar has not arrived since the start"),
    "an upstream that fell silent": (_upstream(9.1), "upstream features silent for 9.1 s"),
    "an upstream that never spoke": (
        _upstream(None, uptime=9.1),
        "upstream features has not been heard since the start",
    ),
    "what the engine itself says": (replace(WELL, faults=("model store is unreadable",)), "model store is unreadable"),
}


@pytest.mark.parametrize("vitals", HEALTHY.values(), ids=HEALTHY)
def test_all_is_well(vitals: Vitals) -> None:
    assert reasons_of(vitals, checks_of(vitals)) == []
    assert is_healthy(vitals)


@pytest.mark.parametrize(("vitals", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_named(vitals: Vitals, reason: str) -> None:
    checks = checks_of(vitals)
    assert reasons_of(vitals, checks) == [reason]
    assert status_of(vitals, checks) == "degraded"
    assert not is_healthy(vitals)


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        ("starting", "starting", "starting: the state is being recovered"),
        ("paused", "paused", "paused: lunch (ann)"),
        ("stopped", "stopped", "stopped"),
        ("failed", "stopped", "failed"),
    ],
)
def test_an_engine_that_does_not_run_is_not_well(state: EngineState, status: str, reason: str) -> None:
    vitals = replace(WELL, state=state, pause_reason="lunch (ann)")
    checks = checks_of(vitals)
    assert (status_of(vitals, checks), reasons_of(vitals, checks)) == (status, [reason])
    assert not is_healthy(vitals)
    assert waiting_for(vitals) == [f"engine is {state}"]


def test_without_the_bus_nothing_is_said_of_upstreams() -> None:
    vitals = replace(_upstream(60.0), bus_age_seconds=60.0)
    assert reasons_of(vitals, checks_of(vitals)) == ["message bus answered 60.0 s ago"]


def test_a_paused_engine_with_a_fault_is_degraded() -> None:
    vitals = replace(WELL, state="paused", bus_age_seconds=9.0)
    assert status_of(vitals, checks_of(vitals)) == "degraded"


def test_ready_means_connected_caught_up_and_moving() -> None:
    assert waiting_for(WELL) == []
    assert waiting_for(replace(WELL, lag_seconds=5.1)) == ["engine lags 5.1 s behind its inputs"]
    assert waiting_for(replace(WELL, caught_up=False)) == ["engine works off the backlog of its start"]
    assert waiting_for(replace(WELL, bus_age_seconds=None, uptime_seconds=1)) == ["message bus has not answered yet"]
    assert waiting_for(replace(WELL, bus_age_seconds=9.0)) == ["message bus answered 9.0 s ago"]
    assert waiting_for(replace(WELL, lag_entries=1, progress_age_seconds=40.0)) == [
        "1 or more entries wait, last progress 40.0 s ago"
    ]


def test_ready_does_not_depend_on_other_engines_or_past_letters() -> None:
    assert waiting_for(replace(_upstream(99.0), dead_letters=1, dead_letter_age_seconds=1.0)) == []


def test_limits_are_settings() -> None:
    limits = HealthLimits(upstream=40.0)
    assert is_healthy(_upstream(39.0), limits)
    assert not is_healthy(_upstream(41.0), limits)


def test_a_dead_engine_is_told_within_ten_seconds() -> None:
    # The reader's limit and a reading a second; the gateway's look, its patience with an answer, and a look again.
    limits, bus, gateway = HealthLimits(), BusSettings(), GatewaySettings()
    assert max(limits.upstream, 4 * bus.heartbeat_seconds, limits.unseen_upstream, limits.bus) + 1.0 <= 10.0
    assert 2 * gateway.health_seconds + gateway.health_timeout_seconds <= 10.0


def test_a_standby_is_well_and_takes_no_work() -> None:
    assert is_healthy(_standby(3, 0.2))
    assert status_of(_standby(3, 0.2), checks_of(_standby(3, 0.2))) == "standby"
    assert waiting_for(_standby(0, 0.0)) == ["engine stands by for its primary"]
