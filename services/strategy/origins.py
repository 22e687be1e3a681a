"""Where decisions came from: ids of the events behind signals and orders, kept so that an order can be traced.

Nothing is decided on them. An order names the last signal its strategy gave for the symbol, the price and the valuation
the gate looked at; a signal names what was delivered of its symbol up to that step, and the valuation.
"""

from __future__ import annotations

import msgspec


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event that waits for its step, with its time and id."""

    ts_event: int
    event_id: str


class SignalNote(msgspec.Struct):
    """A published signal; its id is known once its batch is encoded."""

    ts_event: int
    event_id: str = ""


class Origins(msgspec.Struct):
    """Ids of events by what they are about.

    Attributes:
        arrived: By symbol and role (``price:1d``, ``features:1d``, ``factors``) the newest event not delivered yet.
        delivered: Likewise, ids of what strategies were given last.
        signals: By strategy and symbol, the last signal.
        valuations: By portfolio, id of its last valuation.
    """

    arrived: dict[str, dict[str, Arrival]] = {}
    delivered: dict[str, dict[str, str]] = {}
    signals: dict[tuple[str, str], SignalNote] = {}
    valuations: dict[str, str] = {}

    def note(self, symbol: str, role: str, ts_event: int, event_id: str) -> None:
        """An event about ``symbol`` came (0.3 us)."""
        roles = self.arrived.get(symbol)
        if roles is None:
            roles = self.arrived[symbol] = {}
        roles[role] = Arrival(ts_event, event_id)

    def deliver(self, ts_event: int) -> None:
        """Strategies are given everything up to ``ts_event``; what is later waits, as in the step's delivery."""
        for symbol in sorted(self.arrived):
            roles, known = self.arrived[symbol], self.delivered.setdefault(symbol, {})
            for role in sorted(roles):
                if roles[role].ts_event <= ts_event:
                    known[role] = roles.pop(role).event_id

    def of_signal(self, symbol: str, portfolio_id: str) -> list[str]:
        """What a signal about ``symbol`` could be computed from, in the order of the roles' names."""
        found = [event_id for _, event_id in sorted(self.delivered.get(symbol, {}).items())]
        return [*found, self.valuations.get(portfolio_id, "")]

    def of_order(self, strategy_id: str, symbol: str, portfolio_id: str, price_id: str) -> list[str]:
        """What an order came from and was checked against."""
        signal = self.signals.get((strategy_id, symbol))
        return [signal.event_id if signal is not None else "", price_id, self.valuations.get(portfolio_id, "")]
