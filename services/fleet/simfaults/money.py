"""What must hold of money: cash is conserved to the digit, a position is the sum of its fills, each booked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Any, Final

from libs.contracts.market import InstrumentDefined
from libs.contracts.orders import OrderFilled
from libs.contracts.portfolio import CashMoved, PortfolioCreated, PortfolioSnapshotTaken, PositionUpdated

_ZERO: Final = Decimal(0)


class MoneyAccount:
    """Cash and positions by portfolio, from published fills and cash movements alone.

    Args:
        fills: Fills by id as the order account saw them; a booked position must name one of them.
    """

    def __init__(self, fills: Mapping[str, OrderFilled]) -> None:
        self._fills = fills
        self.cash: dict[str, Decimal] = {}
        self.fees: dict[str, Decimal] = {}
        self.positions: dict[tuple[str, str], Decimal] = {}
        self.booked: set[str] = set()
        self.references: set[tuple[str, str]] = set()
        self._multipliers: dict[str, Decimal] = {}

    def see(self, event: Any) -> Iterator[str]:
        """What is wrong with ``event``; portfolio's own events come in the order it published them."""
        with localcontext(prec=200):
            match event:
                case InstrumentDefined():
                    self._multipliers[event.symbol] = Decimal(event.multiplier)
                case PortfolioCreated():
                    self.cash[event.portfolio_id] = self.cash.get(event.portfolio_id, _ZERO)
                case CashMoved():
                    yield from self._moved(event)
                case PositionUpdated():
                    yield from self._positioned(event)
                case PortfolioSnapshotTaken():
                    yield from self._valued(event)

    def _moved(self, moved: CashMoved) -> Iterator[str]:
        key = moved.portfolio_id, moved.reference
        if moved.reference and key in self.references:
            yield f"cash flow '{moved.reference}' of '{moved.portfolio_id}' was booked twice"
        self.references.add(key)
        self.cash[moved.portfolio_id] = self.cash.get(moved.portfolio_id, _ZERO) + moved.amount
        if moved.balance != self.cash[moved.portfolio_id]:
            yield (
                f"cash of '{moved.portfolio_id}' is {moved.balance} after '{moved.reference}', must be "
                f"{self.cash[moved.portfolio_id]}"
            )

    def _positioned(self, position: PositionUpdated) -> Iterator[str]:
        fill = self._fills.get(position.fill_id)
        if position.fill_id in self.booked:
            yield f"fill {position.fill_id} was booked into '{position.portfolio_id}' twice"
        if fill is None:
            yield f"position {position.symbol} was changed by fill {position.fill_id}, which was never published"
            return
        self.booked.add(position.fill_id)
        signed = fill.last_quantity if fill.side == "buy" else -fill.last_quantity
        key = position.portfolio_id, position.symbol
        self.positions[key] = self.positions.get(key, _ZERO) + signed
        if position.quantity != self.positions[key]:
            yield f"position {key} is {position.quantity}, the sum of its fills {self.positions[key]}"
        value = signed * fill.last_price * self._multipliers.get(fill.symbol, Decimal(1))
        self.cash[fill.portfolio_id] = self.cash.get(fill.portfolio_id, _ZERO) - value - fill.commission
        self.fees[fill.portfolio_id] = self.fees.get(fill.portfolio_id, _ZERO) + fill.commission

    def _valued(self, snapshot: PortfolioSnapshotTaken) -> Iterator[str]:
        name = snapshot.portfolio_id
        if snapshot.cash != self.cash.get(name, _ZERO):
            yield f"cash of '{name}' is {snapshot.cash}, must be {self.cash.get(name, _ZERO)}"
        if snapshot.fees != self.fees.get(name, _ZERO):
            yield f"fees of '{name}' are {snapshot.fees}, must be {self.fees.get(name, _ZERO)}"
        held = {symbol: quantity for (owner, symbol), quantity in self.positions.items() if owner == name and quantity}
        if held != {position.symbol: position.quantity for position in snapshot.positions}:
            yield f"positions of '{name}' in its valuation of {snapshot.ts_event} are not the sums of its fills"
        if snapshot.cash + sum((one.market_value for one in snapshot.positions), _ZERO) != snapshot.equity:
            yield f"equity of '{name}' at {snapshot.ts_event} is not cash plus market value"

    def when_quiet(self) -> Iterator[str]:
        """What is wrong if nothing is on its way any more."""
        for fill_id in self._fills:
            if fill_id not in self.booked:
                yield f"fill {fill_id} was published and never booked by portfolio"
