"""What each strategy holds, by its own fills: the book behind sizing and the gate, not the ledger of money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from libs.contracts.orders import OrderFilled
from services.strategy.state import Position

#: (portfolio, strategy, symbol).
PositionKey = tuple[str, str, str]

ZERO = Decimal(0)

#: Shares of a cost are rounded to this, so that sums of them stay exact.
_STEP = Decimal("1E-10")


class PositionBook:
    """Positions by portfolio, strategy and symbol.

    Args:
        positions: The state it works on.
    """

    def __init__(self, positions: dict[PositionKey, Position]) -> None:
        self._positions = positions

    def quantity(self, portfolio_id: str, strategy_id: str, symbol: str) -> Decimal:
        """Signed quantity; 0 where there never was a fill."""
        position = self._positions.get((portfolio_id, strategy_id, symbol))
        return position.quantity if position is not None else ZERO

    def portfolio_quantity(self, portfolio_id: str, symbol: str) -> Decimal:
        """Signed quantity over all strategies of a portfolio."""
        return sum(
            (
                position.quantity
                for (portfolio, _, held), position in self._positions.items()
                if portfolio == portfolio_id and held == symbol
            ),
            ZERO,
        )

    def held(self, portfolio_id: str, strategy_id: str) -> Iterator[tuple[str, Decimal]]:
        """Symbols a strategy holds with their quantities, sorted."""
        for (portfolio, strategy, symbol), position in sorted(self._positions.items()):
            if portfolio == portfolio_id and strategy == strategy_id and position.quantity:
                yield symbol, position.quantity

    def items(self) -> Mapping[PositionKey, Position]:
        """All positions ever held."""
        return self._positions

    def apply(self, fill: OrderFilled, multiplier: Decimal) -> Decimal:
        """Book a fill; returns the cash it moved, commission included (negative = paid).

        Invariant (tested): ``realized_pnl - cost`` is exactly the sum of the cash moved without commission,
        however the cost of a partial close was rounded.
        """
        key = (fill.portfolio_id, fill.strategy_id, fill.symbol)
        position = self._positions.get(key)
        if position is None:
            position = self._positions[key] = Position(fill.currency)
        money = fill.last_quantity * fill.last_price * multiplier
        if fill.side == "buy":
            signed, cash = fill.last_quantity, -money
            position.bought += fill.last_quantity
        else:
            signed, cash = -fill.last_quantity, money
            position.sold += fill.last_quantity
        _move(position, signed, -cash)
        position.commission += fill.commission
        return cash - fill.commission


def _move(position: Position, signed: Decimal, paid: Decimal) -> None:
    """Add ``signed`` units that cost ``paid`` (negative = received), realising what they close."""
    held = position.quantity
    if held * signed >= 0:
        position.quantity += signed
        position.cost += paid
        return
    closing = min(abs(signed), abs(held))
    # Average cost: what is closed leaves with its share of the cost; the rest of the fill opens the other side.
    released = _share(position.cost, closing, abs(held))
    paid_closing = _share(paid, closing, abs(signed))
    position.realized_pnl -= released + paid_closing
    position.cost += paid - paid_closing - released
    position.quantity += signed


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return amount if part == whole else (amount * part / whole).quantize(_STEP)
