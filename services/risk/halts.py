"""Halts: sticky until a person lifts exactly the one of that scope and target."""

from __future__ import annotations

from libs.contracts.risk import BreachDetected, HaltChanged, HaltTrading, ResumeTrading
from libs.engine.errors import CommandRefused
from services.risk.breaches import ENGINE
from services.risk.limits import RANKS
from services.risk.state import RiskState


def halt_by_command(state: RiskState, command: HaltTrading, now_ns: int) -> HaltChanged:
    """Halt because somebody says so; a halt in force is replaced, never refused.

    Raises:
        CommandRefused: 422 when scope and target do not belong together, or no reason is given.
    """
    _check(command.scope, command.target, command.reason)
    halt = HaltChanged(
        now_ns,
        True,
        command.scope,
        command.target,
        command.reason,
        command.actor,
        command.cancel_orders,
        command.allow_reducing,
    )
    state.halts[(halt.scope, halt.target)] = halt
    return halt


def halt_by_limit(state: RiskState, breach: BreachDetected) -> HaltChanged | None:
    """Halt the portfolio of a breach whose limit asks for it; None when it does not, or it is halted already.

    A warning halts nothing. Nor does a limit that cannot be measured: it blocks new orders, and the next measurement
    may show that all is well, while a halt would wait for a person.
    """
    key = ("portfolio", breach.portfolio_id)
    if breach.action != "halt" or breach.reason or RANKS[breach.severity] < RANKS["medium"] or key in state.halts:
        return None
    used = 100 * (breach.utilization or 0.0)
    reason = f"limit '{breach.limit_id}' ({breach.limit_type}) is used to {used:.1f} %"
    halt = HaltChanged(breach.ts_event, True, "portfolio", breach.portfolio_id, reason, ENGINE)
    state.halts[("portfolio", breach.portfolio_id)] = halt
    return halt


def resume(state: RiskState, command: ResumeTrading, now_ns: int) -> HaltChanged:
    """Lift a halt.

    Raises:
        CommandRefused: 409 when there is no such halt, 422 when scope and target do not belong together.
    """
    _check(command.scope, command.target, command.reason)
    if (command.scope, command.target) not in state.halts:
        known = ", ".join(f"{scope} {target}".strip() for scope, target in sorted(state.halts)) or "none"
        raise CommandRefused(
            409,
            "not-halted",
            f"halt to lift must be in force, was {command.scope} '{command.target}'",
            f"halts in force: {known}",
        )
    del state.halts[(command.scope, command.target)]
    return HaltChanged(now_ns, False, command.scope, command.target, command.reason, command.actor)


def _check(scope: str, target: str, reason: str) -> None:
    if (scope == "all") != (target == ""):
        raise CommandRefused(
            422,
            "invalid",
            f"target of scope {scope} must {'be empty' if scope == 'all' else 'be given'}, was '{target}'",
            "name the portfolio, strategy or symbol, or use scope all without a target",
        )
    if not reason.strip():
        raise CommandRefused(422, "invalid", "reason must not be blank, was ''", "say why, for whoever comes next")
