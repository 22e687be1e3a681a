"""Health: one table of rules over a reading of the host.

A rule looks at facts only, so the table is tested without a host, a clock or a server. ``/health`` answers 200 when
every check holds and the engine runs, else 503 with what is wrong; a halt is a state and no fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from libs.contracts.system import EngineState
from libs.engine.vitals import Change, Vitals

Status = Literal["starting", "healthy", "standby", "degraded", "paused", "stopped"]
#: All is well: it does what it was started for.
WELL: frozenset[Status] = frozenset({"healthy", "standby"})


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """Past these ages something is wrong; seconds. Together with a reading a second, all are seen within 10 s.

    Attributes:
        bus: Since the bus last answered a PING.
        progress: Without a commit although entries wait.
        upstream: Since the last heartbeat of an engine that is read.
        unseen_upstream: For which an engine that is read may be silent after the start: one that dies before its first
            heartbeat came through has to be told in time too.
        dead_letter: For which a dead letter counts as new.
        loop: Since the event loop last ran.
        caught_up: How far a ready engine may lag.
    """

    bus: float = 5.0
    progress: float = 30.0
    upstream: float = 8.0
    unseen_upstream: float = 9.0
    dead_letter: float = 60.0
    loop: float = 5.0
    caught_up: float = 5.0


LIMITS = HealthLimits()


@dataclass(frozen=True, slots=True)
class Check:
    """One rule applied; ``detail`` says in words what is wrong, or what was seen."""

    name: str
    ok: bool
    age_seconds: float | None
    limit_seconds: float | None
    detail: str


class HostView(Protocol):
    """What a control surface needs of whatever it stands before.

    Attributes:
        name: Engine name.
        instance: This run of it, unique over all runs.
        version: Of the code it runs, as journals and snapshots carry it.
        role: ``sequenced`` (commits, journals) or ``tail`` (keeps no position).
    """

    name: str
    instance: str
    version: str
    role: str

    def sample(self) -> EngineState:
        """A cheap look, ten times a second: takes note of progress and returns the state."""
        ...

    def vitals(self) -> Vitals:
        """Read everything now."""
        ...

    def counters(self) -> Mapping[str, Any]:
        """What the engine counts; cheap."""
        ...

    def clock_ns(self) -> int:
        """The engine's own time: the replayed day in a replay."""
        ...

    async def pause(self, actor: str, reason: str) -> Change:
        """Stop taking input; returns when the fleet has been told."""
        ...

    async def resume(self, actor: str, reason: str) -> Change:
        """Go on after :meth:`pause`."""
        ...

    async def snapshot(self, actor: str, reason: str) -> Change:
        """Take a snapshot; returns when it is stored."""
        ...


def checks_of(vitals: Vitals, limits: HealthLimits = LIMITS) -> list[Check]:
    """Apply every rule; the order is fixed, so that two readings compare line by line."""
    return [
        _bus(vitals, limits),
        _progress(vitals, limits),
        *_following(vitals, limits),
        _loop(vitals, limits),
        _dead_letters(vitals, limits),
        *_tasks(vitals),
        *_inputs(vitals),
        *_upstreams(vitals, limits),
        *(Check("engine", False, None, None, fault) for fault in vitals.faults),
    ]


def status_of(vitals: Vitals, checks: Iterable[Check]) -> Status:
    """The one word for it."""
    if vitals.state in ("stopped", "failed"):
        return "stopped"
    if vitals.state == "starting":
        return "starting"
    if not all(check.ok for check in checks):
        return "degraded"
    if vitals.state in ("paused", "standby"):
        return vitals.state
    return "healthy"


def is_healthy(vitals: Vitals, limits: HealthLimits = LIMITS) -> bool:
    """Whether ``/health`` answers 200."""
    return status_of(vitals, checks_of(vitals, limits)) in WELL


def reasons_of(vitals: Vitals, checks: Sequence[Check]) -> list[str]:
    """Why it does not, most general first."""
    reasons = [check.detail for check in checks if not check.ok]
    if vitals.state == "starting":
        reasons.insert(0, "starting: the state is being recovered")
    elif vitals.state == "paused":
        reasons.insert(0, f"paused: {vitals.pause_reason}" if vitals.pause_reason else "paused")
    elif vitals.state in ("stopped", "failed"):
        reasons.insert(0, vitals.state)
    return reasons


def waiting_for(vitals: Vitals, limits: HealthLimits = LIMITS) -> list[str]:
    """What an engine must see before it is ready: connected, caught up, making progress; empty = ready."""
    missing = [check.detail for check in (_bus(vitals, limits), _progress(vitals, limits)) if not check.ok]
    if vitals.bus_age_seconds is None and not missing:
        missing.append("message bus has not answered yet")
    if vitals.state != "running":
        standing_by = vitals.state == "standby"
        missing.insert(0, "engine stands by for its primary" if standing_by else f"engine is {vitals.state}")
    elif not vitals.caught_up:
        missing.append("engine works off the backlog of its start")
    elif vitals.lag_seconds > limits.caught_up:
        missing.append(f"engine lags {vitals.lag_seconds:.1f} s behind its inputs")
    return missing


# -- rules ----------------------------------------------------------------------------------------


def _bus(vitals: Vitals, limits: HealthLimits) -> Check:
    age = vitals.bus_age_seconds
    if age is None:
        # Nothing was asked yet in the first instant; after that, never having had an answer is a fault.
        ok = vitals.uptime_seconds <= limits.bus
        return Check("messagebus", ok, None, limits.bus, "message bus has not answered yet")
    detail = f"message bus answered {age:.1f} s ago"
    return Check("messagebus", age <= limits.bus, age, limits.bus, detail)


def _progress(vitals: Vitals, limits: HealthLimits) -> Check:
    age = vitals.progress_age_seconds
    if vitals.state != "running" or not vitals.lag_entries or age is None:
        return Check("progress", True, age, limits.progress, "nothing waits to be handled")
    detail = f"{vitals.lag_entries} or more entries wait, last progress {age:.1f} s ago"
    return Check("progress", age <= limits.progress, age, limits.progress, detail)


def _following(vitals: Vitals, limits: HealthLimits) -> Iterator[Check]:
    fact = vitals.standby
    if fact is not None:
        lag, limit = fact.lag_seconds, limits.caught_up
        detail = f"standby has followed to commit {fact.follows_commit}, {fact.lag_commits} behind for {lag:.1f} s"
        yield Check("standby", lag <= limit, lag, limit, detail)


def _loop(vitals: Vitals, limits: HealthLimits) -> Check:
    age = vitals.loop_tick_age_seconds
    return Check("event_loop", age <= limits.loop, age, limits.loop, f"event loop ran {age:.1f} s ago")


def _dead_letters(vitals: Vitals, limits: HealthLimits) -> Check:
    age = vitals.dead_letter_age_seconds
    if age is None:
        return Check("dead_letters", True, None, limits.dead_letter, "no dead letter since the start")
    detail = f"dead letters since the start: {vitals.dead_letters}, newest {age:.1f} s ago"
    return Check("dead_letters", age > limits.dead_letter, age, limits.dead_letter, detail)


def _tasks(vitals: Vitals) -> Iterator[Check]:
    for task in vitals.tasks:
        age, limit = task.progress_age_seconds, task.max_silence_seconds
        ok, detail = True, f"task {task.name} {task.state}"
        if task.state == "failed":
            ok, detail = False, f"task {task.name} failed: {task.error}"
        elif vitals.state == task.state == "running" and age is not None and limit is not None and age > limit:
            ok, detail = False, f"task {task.name} made no progress for {age:.1f} s"
        yield Check(f"task:{task.name}", ok, age, limit, detail)


def _inputs(vitals: Vitals) -> Iterator[Check]:
    for source in vitals.inputs:
        limit = source.max_age_seconds
        if limit is None or vitals.standby is not None:  # a standby reads what its primary has committed, nothing else
            continue
        age = source.age_seconds
        if age is None:
            detail = f"input {source.topic} has not arrived since the start"
            yield Check(f"input:{source.topic}", vitals.uptime_seconds <= limit, None, limit, detail)
        else:
            detail = f"input {source.topic} is {age:.1f} s old"
            yield Check(f"input:{source.topic}", age <= limit, age, limit, detail)


def _upstreams(vitals: Vitals, limits: HealthLimits) -> Iterator[Check]:
    if not _bus(vitals, limits).ok:
        return  # heartbeats come over the bus: without it nothing is known of anybody
    for upstream in vitals.upstreams:
        name, age = f"upstream:{upstream.engine}", upstream.age_seconds
        if age is None:
            ok = vitals.uptime_seconds <= limits.unseen_upstream
            detail = f"upstream {upstream.engine} has not been heard since the start"
            yield Check(name, ok, None, limits.unseen_upstream, detail)
        else:
            verb = "heard" if age <= limits.upstream else "silent for"
            detail = f"upstream {upstream.engine} {verb} {age:.1f} s" + (" ago" if verb == "heard" else "")
            yield Check(name, age <= limits.upstream, age, limits.upstream, detail)
