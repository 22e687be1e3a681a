"""What a host knows of itself at one instant: plain facts, from which health is judged."""

from __future__ import annotations

from dataclasses import dataclass

from libs.contracts.system import EngineState


@dataclass(frozen=True, slots=True)
class InputFact:
    """One input of an engine.

    Attributes:
        last_event_ns: Wall clock of its last arrival, UNIX nanoseconds; None before the first.
        age_seconds: Since then.
        max_age_seconds: Past it the input is stale, which is a fault; None where silence is normal.
        lag_entries: 0 when everything of its stream has been handled, None when some has not (nobody counts it).
    """

    topic: str
    last_event_ns: int | None
    age_seconds: float | None
    count: int
    max_age_seconds: float | None = None
    lag_entries: int | None = None


@dataclass(frozen=True, slots=True)
class TaskFact:
    """One task of the process: ``running``, ``finished``, ``failed`` or ``cancelled``.

    Attributes:
        max_silence_seconds: Past this age of its last progress a running task is stuck; None where it may rest.
    """

    name: str
    state: str
    progress_age_seconds: float | None = None
    max_silence_seconds: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamFact:
    """An engine whose topics this one reads; ``age_seconds`` since its last heartbeat, None if none was seen."""

    engine: str
    age_seconds: float | None


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt in force."""

    scope: str
    target: str
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class StandbyFact:
    """How a standby stands to its primary.

    Attributes:
        primary_epoch: Newest epoch, 0 = nobody has ever held the lease.
        follows_commit: Commit it has done again last.
        lag_commits, lag_seconds: How far behind its primary it is.
        primary_silent_seconds: For how long it has seen no sign of life of its primary.
    """

    primary_epoch: int
    follows_commit: int
    lag_commits: int
    lag_seconds: float
    primary_silent_seconds: float
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """One reading of a host; ages are seconds, None = it has not happened yet.

    Attributes:
        uptime_seconds: Since this process started the engine.
        progress_age_seconds: Since the last commit, or since the host last found nothing to do.
        lag_entries: Entries waiting to be handled; ``lag_seconds``: how long the oldest may have waited.
        caught_up: Whether the backlog of the start has been worked off.
        loop_tick_age_seconds, loop_lag_seconds: Since the event loop last ran, and its worst lateness of late.
        bus_age_seconds: Since the bus last answered.
        dead_letters: Since this process started; ``dead_letter_age_seconds``: since the newest.
        snapshot_number: Commit the newest snapshot stands at, 0 = none.
        halts: Halts in force, most comprehensive first.
        faults: What the engine itself says is broken.
        standby: Set while the host stands by; it then holds no epoch.
        watched: Whether a standby watches this host.
    """

    state: EngineState
    epoch: int = 0
    uptime_seconds: float = 0.0
    progress_age_seconds: float | None = None
    lag_entries: int = 0
    lag_seconds: float = 0.0
    caught_up: bool = True
    loop_tick_age_seconds: float = 0.0
    loop_lag_seconds: float = 0.0
    bus_age_seconds: float | None = None
    inputs: tuple[InputFact, ...] = ()
    tasks: tuple[TaskFact, ...] = ()
    upstreams: tuple[UpstreamFact, ...] = ()
    dead_letters: int = 0
    dead_letter_age_seconds: float | None = None
    journal_entries: int = 0
    last_hash: str = ""
    snapshot_number: int = 0
    snapshot_age_seconds: float | None = None
    halts: tuple[Halt, ...] = ()
    faults: tuple[str, ...] = ()
    pause_reason: str = ""
    standby: StandbyFact | None = None
    watched: bool = False

    @property
    def halted(self) -> bool:
        """Whether all trading is halted; a halt of one portfolio, strategy or symbol is none."""
        return any(halt.scope == "all" for halt in self.halts)


@dataclass(frozen=True, slots=True)
class Change:
    """What a control request did.

    Attributes:
        at_ns: Wall clock, UNIX nanoseconds.
        event_id: Id of the event that tells the fleet.
        snapshot_number: Commit the snapshot stands at, where one was asked for.
    """

    previous_state: str
    state: str
    actor: str
    reason: str
    at_ns: int
    event_id: str
    snapshot_number: int | None = None
