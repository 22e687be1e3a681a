"""The life of a breach: opened, changed, resolved; announced at those moments only.

::

    ok ──(warning, breach or unmeasurable)──> open ──(severity changes)──> open, announced again
    open ──(ok again)──> resolved
    open ──(by a person)──> acknowledged: silent until it gets worse (a new breach) or is ok again
"""

from __future__ import annotations

from libs.contracts.risk import BreachDetected, BreachResolved, LimitUpdated
from libs.engine.errors import CommandRefused
from services.risk.limits import RANKS, Measurement
from services.risk.state import Breach, RiskState

#: Resolved breaches kept for reading.
MAX_RESOLVED = 1_000
#: The actor of what the engine does by itself.
ENGINE = "risk"


def observe(
    state: RiskState, limit: LimitUpdated, portfolio_id: str, found: Measurement, ts_event: int
) -> BreachDetected | BreachResolved | None:
    """Move the breach of ``limit`` by a portfolio along; returns what is to be announced, if anything."""
    key = (limit.limit_id, portfolio_id)
    breach = state.open_breaches.get(key)
    if found.severity is None:
        state.acknowledged.pop(key, None)
        if breach is None:
            return None
        _update(breach, found)
        return resolve(state, key, ts_event, ENGINE, f"utilisation fell to {100 * (found.utilization or 0.0):.1f} %")
    if breach is None:
        known = state.acknowledged.get(key)
        if known is not None and RANKS[found.severity] <= RANKS[known]:
            return None
        state.acknowledged.pop(key, None)
        breach = state.open_breaches[key] = _open(state, limit, portfolio_id, found, ts_event)
        return _announce(state, breach, ts_event)
    changed = found.severity != breach.severity or bool(found.reason) != bool(breach.reason)
    _update(breach, found)
    breach.severity = found.severity
    return _announce(state, breach, ts_event) if changed else None


def resolve(state: RiskState, key: tuple[str, str], ts_event: int, actor: str, action_taken: str) -> BreachResolved:
    """Close the open breach ``key``."""
    breach = state.open_breaches.pop(key)
    breach.resolved_ts, breach.actor, breach.action_taken = ts_event, actor, action_taken
    state.resolved_breaches.append(breach)
    del state.resolved_breaches[:-MAX_RESOLVED]
    return BreachResolved(ts_event, breach.breach_id, breach.limit_id, breach.portfolio_id, actor, action_taken)


def resolve_by_hand(state: RiskState, breach_id: str, ts_event: int, actor: str, action_taken: str) -> BreachResolved:
    """Close a breach because a person says so.

    Raises:
        CommandRefused: 404 for an unknown one, 409 for one that is resolved, 422 without ``action_taken``.
    """
    if not action_taken.strip():
        raise CommandRefused(422, "invalid", "action_taken must not be blank, was ''", "say what was done about it")
    for key, breach in state.open_breaches.items():
        if breach.breach_id == breach_id:
            state.acknowledged[key] = breach.severity
            return resolve(state, key, ts_event, actor, action_taken)
    if any(breach.breach_id == breach_id for breach in state.resolved_breaches):
        raise CommandRefused(
            409,
            "already-resolved",
            f"breach must be open, was '{breach_id}', which is resolved",
            "nothing is to be done",
        )
    raise CommandRefused(
        404, "unknown-breach", f"breach must exist, was '{breach_id}'", "see GET /risk/breaches for those that do"
    )


def forget_limit(state: RiskState, limit_id: str, ts_event: int, actor: str, why: str) -> list[BreachResolved]:
    """Close every breach of a limit that is removed or replaced, sorted by portfolio."""
    keys = sorted(key for key in state.open_breaches if key[0] == limit_id)
    for key in [key for key in state.acknowledged if key[0] == limit_id]:
        del state.acknowledged[key]
    return [resolve(state, key, ts_event, actor, why) for key in keys]


def _update(breach: Breach, found: Measurement) -> None:
    breach.value, breach.utilization, breach.reason = found.value, found.utilization, found.reason
    breach.limit_value = found.limit_value


def _open(state: RiskState, limit: LimitUpdated, portfolio_id: str, found: Measurement, ts_event: int) -> Breach:
    state.breaches_opened += 1
    return Breach(
        f"breach-{state.breaches_opened}",
        limit.limit_id,
        limit.limit_type,
        portfolio_id,
        limit.symbol,
        ts_event,
        found.value,
        found.limit_value,
        found.utilization,
        found.severity or "medium",
        limit.action,
        found.reason,
    )


def _announce(state: RiskState, breach: Breach, ts_event: int) -> BreachDetected:
    state.alerts += 1
    return BreachDetected(
        ts_event,
        breach.breach_id,
        breach.limit_id,
        breach.limit_type,
        breach.portfolio_id,
        breach.symbol,
        breach.value,
        breach.limit_value,
        breach.utilization,
        breach.severity,
        breach.action,
        breach.reason,
    )
