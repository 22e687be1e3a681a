"""The life of a breach and of a halt: announced on opening, change and resolution only; halts stay until lifted."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts.risk import (
    BreachDetected,
    BreachResolved,
    DeleteLimit,
    HaltChanged,
    HaltTrading,
    LimitUpdated,
    ResolveBreach,
    ResumeTrading,
)
from libs.engine.errors import CommandRefused
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness
from tests.services.risk.builders import limit, make, snapshot, step

ALARMS = (BreachDetected, BreachResolved, HaltChanged, LimitUpdated)


def engine_with(*commands: Event) -> EngineHarness:
    """An engine whose only limits are those given."""
    engine = EngineHarness(make)
    engine.send(*(DeleteLimit(0, limit_id, "tester") for limit_id in sorted(engine.engine.state.limits)))
    engine.send(*commands)
    return engine


def at_leverage(engine: EngineHarness, day: int, leverage: float, portfolio_id: str = "main") -> list[Event]:
    """One step of a portfolio of equity 1000; what was announced."""
    found = engine.send(snapshot(day, {"AAA.X": 1000.0 * leverage}, 1000.0, portfolio_id=portfolio_id), *step(day))
    return [event for event in found if isinstance(event, ALARMS)]


def told(events: list[Event]) -> list[Any]:
    return [event.severity if isinstance(event, BreachDetected) else type(event).__name__ for event in events]


def test_announced_on_opening_change_and_resolution_only() -> None:
    engine = engine_with(limit("leverage", 2.0))
    course = [1.0, 1.7, 1.8, 2.0, 2.1, 2.4, 3.0, 3.3, 2.0, 1.7, 1.5, 1.5, 2.0]
    heard = [told(at_leverage(engine, day, leverage)) for day, leverage in enumerate(course, start=1)]
    assert heard == [
        [], ["low"], [], ["medium"], [], ["high"], ["critical"], [], ["medium"], ["low"], ["BreachResolved"], [],
        ["medium"],
    ]  # fmt: skip
    identities = [event.breach_id for event in engine.of_type(BreachDetected)]
    assert identities == ["breach-1"] * 6 + ["breach-2"]
    resolved = engine.of_type(BreachResolved)[0]
    assert (resolved.breach_id, resolved.actor) == ("breach-1", "risk")
    assert resolved.action_taken == "utilisation fell to 75.0 %"
    assert engine.engine.status()["breach_alerts"] == 7


def test_each_portfolio_breaches_by_itself() -> None:
    engine = engine_with(limit("leverage", 2.0), limit("leverage", 1.0, limit_id="M", portfolio_id="main"))
    engine.send(snapshot(1, {"AAA.X": 3000.0}, 1000.0), snapshot(1, {"AAA.X": 3000.0}, 1000.0, portfolio_id="second"))
    found = [event for event in engine.send(*step(1)) if isinstance(event, BreachDetected)]
    assert [(event.portfolio_id, event.limit_id) for event in found] == [("main", "L"), ("main", "M"), ("second", "L")]


def test_what_cannot_be_measured_opens_a_breach_without_numbers() -> None:
    engine = engine_with(limit("leverage", 2.0, "block"))
    engine.send(snapshot(1, {"AAA.X": 10.0}, -5.0), *step(1))
    (found,) = engine.of_type(BreachDetected)
    assert (found.value, found.utilization, found.severity, found.action) == (None, None, "medium", "block")
    assert found.reason == "equity must be positive to measure against, was -5.0"
    (again,) = at_leverage(engine, 2, 2.0)
    assert isinstance(again, BreachDetected)
    assert (again.breach_id, again.value, again.reason) == (found.breach_id, 2.0, "")


def test_resolved_by_hand_it_is_silent_until_it_gets_worse_or_ends() -> None:
    engine = engine_with(limit("leverage", 2.0))
    at_leverage(engine, 1, 2.1)
    engine.send(ResolveBreach(0, "breach-1", "hedged elsewhere", "ann"))
    resolved = engine.of_type(BreachResolved)[0]
    assert (resolved.actor, resolved.action_taken) == ("ann", "hedged elsewhere")
    heard = [told(at_leverage(engine, day, leverage)) for day, leverage in enumerate([2.1, 1.7, 2.2, 2.5], start=2)]
    assert heard == [[], [], [], ["high"]]
    engine.send(ResolveBreach(0, "breach-2", "again", "ann"))
    heard = [told(at_leverage(engine, day, leverage)) for day, leverage in enumerate([2.5, 1.0, 2.1], start=6)]
    assert heard == [[], [], ["medium"]]


def test_replacing_or_removing_a_limit_closes_its_breaches() -> None:
    engine = engine_with(limit("leverage", 2.0))
    at_leverage(engine, 1, 2.1)
    assert told(engine.send(limit("leverage", 2.05))) == ["BreachResolved", "LimitUpdated"]
    assert told(at_leverage(engine, 2, 2.1)) == ["medium"]
    resolved, updated = engine.send(DeleteLimit(0, "L", "ann"))
    assert isinstance(resolved, BreachResolved)
    assert isinstance(updated, LimitUpdated)
    assert (updated.enabled, updated.actor) == (False, "ann")
    assert told(at_leverage(engine, 3, 9.0)) == []


def test_a_limit_that_is_switched_off_measures_nothing() -> None:
    engine = engine_with(limit("leverage", 2.0, enabled=False))
    assert told(at_leverage(engine, 1, 9.0)) == []


# -- halts ----------------------------------------------------------------------------------------


def test_a_breach_of_a_halting_limit_halts_its_portfolio_once_and_until_lifted() -> None:
    engine = engine_with(limit("leverage", 2.0, "halt"))
    assert told(at_leverage(engine, 1, 1.9)) == ["low"]
    detected, halt = at_leverage(engine, 2, 2.0)
    assert isinstance(detected, BreachDetected)
    assert isinstance(halt, HaltChanged)
    assert (halt.halted, halt.scope, halt.target, halt.actor) == (True, "portfolio", "main", "risk")
    assert halt.reason == "limit 'L' (leverage) is used to 100.0 %"
    assert told(at_leverage(engine, 3, 2.5)) == ["high"], "halted already"
    assert told(at_leverage(engine, 4, 1.0)) == ["BreachResolved"]
    assert engine.engine.status()["halts"] == ["portfolio main"], "sticky"
    engine.restart()
    (released,) = engine.send(ResumeTrading(0, "portfolio", "main", "checked", "ann"))
    assert isinstance(released, HaltChanged)
    assert not released.halted
    assert told(at_leverage(engine, 5, 2.1)) == ["medium", "HaltChanged"]


def test_a_resumed_portfolio_is_not_halted_again_by_the_breach_a_person_has_seen() -> None:
    engine = engine_with(limit("leverage", 2.0, "halt"))
    at_leverage(engine, 1, 2.1)
    engine.send(ResumeTrading(0, "portfolio", "main", "working it down", "ann"))
    assert told(at_leverage(engine, 2, 2.1)) == []
    assert told(at_leverage(engine, 3, 2.5)) == ["high", "HaltChanged"]


def test_a_limit_that_cannot_be_measured_halts_nothing() -> None:
    engine = engine_with(limit("leverage", 2.0, "halt"))
    engine.send(snapshot(1, {"AAA.X": 10.0}, -5.0), *step(1))
    assert engine.of_type(HaltChanged) == []


def halt(scope: Any, target: str = "", reason: str = "storm") -> HaltTrading:
    return HaltTrading(0, scope, target, reason, "ann", cancel_orders=False, allow_reducing=True)


def test_halts_by_hand_are_published_at_once_and_lifted_one_by_one() -> None:
    engine = EngineHarness(make)
    (found,) = engine.send(halt("all"))
    assert found == HaltChanged(0, True, "all", "", "storm", "ann", False, True)
    assert engine.reply == {"halted": True, "scope": "all", "target": ""}
    assert len(engine.send(halt("all", reason="still"))) == 1, "halting again is never refused"
    engine.send(halt("symbol", "AAA.X"))
    engine.send(ResumeTrading(0, "all", "", "over", "ann"))
    assert engine.engine.status()["halts"] == ["symbol AAA.X"]


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [
        (halt("all", "main"), 422, "invalid"),
        (halt("portfolio"), 422, "invalid"),
        (halt("all", reason=" "), 422, "invalid"),
        (ResumeTrading(0, "all", "", "why", "ann"), 409, "not-halted"),
        (ResumeTrading(0, "symbol", "", "why", "ann"), 422, "invalid"),
        (ResolveBreach(0, "breach-1", "again", "ann"), 409, "already-resolved"),
        (ResolveBreach(0, "breach-9", "what", "ann"), 404, "unknown-breach"),
        (ResolveBreach(0, "breach-1", " ", "ann"), 422, "invalid"),
        (DeleteLimit(0, "nothing", "ann"), 404, "unknown-limit"),
        (limit("leverage", -1.0), 422, "invalid"),
    ],
)
def test_refusals_change_nothing(command: Event, status: int, code: str) -> None:
    engine = engine_with(limit("leverage", 2.0))
    at_leverage(engine, 1, 2.1)
    engine.send(ResolveBreach(0, "breach-1", "done", "ann"))
    before = repr(engine.engine.state)
    with pytest.raises(CommandRefused) as refused:
        engine.send(command)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert refused.value.remedy
    assert repr(engine.engine.state) == before
