"""Halts in force: which orders they stop. They are part of the state, so a restart does not lift one."""

from __future__ import annotations

from libs.contracts.risk import HaltChanged
from services.strategy.state import Halt, OrderRecord


class HaltBook:
    """Halts by scope and target.

    Args:
        halts: The state it works on.
    """

    def __init__(self, halts: dict[tuple[str, str], Halt]) -> None:
        self._halts = halts

    def apply(self, event: HaltChanged, event_id: str = "") -> Halt | None:
        """Put a halt in force or lift exactly the one of this scope and target; returns the halt put in force.

        ``event_id`` is kept with it, so that an order it stops can name it.
        """
        key = (event.scope, event.target)
        if not event.halted:
            self._halts.pop(key, None)
            return None
        halt = Halt(
            event.scope,
            event.target,
            event.reason,
            event.actor,
            event.ts_event,
            event.cancel_orders,
            event.allow_reducing,
            event_id,
        )
        self._halts[key] = halt
        return halt

    def in_force(self) -> list[Halt]:
        """All halts, sorted by scope and target."""
        return [halt for _, halt in sorted(self._halts.items())]

    def stopping(self, portfolio_id: str, strategy_id: str, symbol: str, *, is_reducing: bool) -> Halt | None:
        """The halt that stops an order, or None; one that allows reducing orders lets those pass.

        Where several apply, the first by scope and target is named.
        """
        for halt in self.in_force():
            if halt.allow_reducing and is_reducing:
                continue
            if covers(halt, portfolio_id, strategy_id, symbol):
                return halt
        return None


def covers(halt: Halt, portfolio_id: str, strategy_id: str, symbol: str) -> bool:
    """Whether an order of this portfolio, strategy and symbol lies in the scope of ``halt``."""
    match halt.scope:
        case "all":
            return True
        case "portfolio":
            return halt.target == portfolio_id
        case "strategy":
            return halt.target == strategy_id
        case "symbol":
            return halt.target == symbol


def covers_order(halt: Halt, order: OrderRecord) -> bool:
    """Whether ``order`` lies in the scope of ``halt``."""
    return covers(halt, order.portfolio_id, order.strategy_id, order.symbol)
