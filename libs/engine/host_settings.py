"""How a host runs its engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How a host runs its engine.

    Attributes:
        follow_events: Replay: the engine's clock follows the market's timestamps.
        start_ns: Where it begins in the first batch of the engine's life; later it is what the journal says.
        snapshot_seconds: Time between snapshots while anything changes.
        trims: Streams this host trims after its snapshots, with the entries to keep.
        snapshot_events: Events between snapshots at most, 0 = any number.
        accept_other_code: Replay a journal that other code wrote.
        lease_seconds: Silence after which a standby takes over.
        standby: Follow another host of this engine, and take its place when it falls silent or ends.
    """

    follow_events: bool = False
    start_ns: int = 0
    snapshot_seconds: float = 10.0
    trims: Mapping[str, int] = field(default_factory=dict)
    snapshot_events: int = 0
    accept_other_code: bool = False
    lease_seconds: float = 1.0
    standby: bool = False
