"""Marking to market: what a portfolio is worth at a step."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext

from libs.contracts.portfolio import PortfolioSnapshotTaken, PositionMarked
from services.portfolio.amounts import EXACT, ZERO, as_decimal
from services.portfolio.history import DAY_NS
from services.portfolio.state import Instrument, Mark, Portfolio, Position


def mark_of(position: Position, mark: Mark | None) -> tuple[Decimal, int]:
    """The price a position is valued at, and when that price was seen.

    The newer of the market's last price and the position's last fill; the market's when both are of one timestamp.
    Both are kept by their own time, so the result does not depend on which of the two streams was read first.
    """
    if mark is not None and mark.ts_event >= position.last_fill_ts:
        return as_decimal(mark.price), mark.ts_event
    return position.last_fill_price, position.last_fill_ts


def mark_position(position: Position, mark: Mark | None) -> PositionMarked:
    """One position at its mark; amounts exact. Call it within ``localcontext(EXACT)``."""
    price, mark_ts = mark_of(position, mark)
    market_value = position.quantity * price * position.multiplier
    return PositionMarked(
        position.symbol,
        position.quantity,
        position.average_price,
        price,
        mark_ts,
        market_value,
        market_value - position.cost_basis,
        position.realized_pnl,
        position.is_synthetic,
    )


def take_snapshot(
    portfolio: Portfolio, marks: Mapping[str, Mark], instruments: Mapping[str, Instrument], ts_event: int
) -> PortfolioSnapshotTaken:
    """Value a portfolio and move its day, peak and synthetic marks forward.

    The caller publishes the result and keeps it as ``portfolio.snapshot``.
    """
    positions: list[PositionMarked] = []
    is_synthetic = False
    with localcontext(EXACT):
        equity, gross, net, unrealized, realized = portfolio.cash, ZERO, ZERO, ZERO, ZERO
        fees = portfolio.charges
        for symbol, position in sorted(portfolio.positions.items()):
            mark = marks.get(symbol)
            _taint(position, mark, instruments.get(symbol), portfolio.snapshot)
            is_synthetic = is_synthetic or position.is_synthetic
            realized += position.realized_pnl
            fees += position.fees
            if position.quantity:
                marked = mark_position(position, mark)
                positions.append(marked)
                gross += abs(marked.market_value)
                net += marked.market_value
                unrealized += marked.unrealized_pnl
        equity += net
        _open_day(portfolio, ts_event)
        pnl_day = equity - portfolio.day_open_equity - (portfolio.net_flows - portfolio.day_open_flows)
    portfolio.peak_equity = max(portfolio.peak_equity, equity)
    return PortfolioSnapshotTaken(
        ts_event,
        portfolio.portfolio_id,
        portfolio.base_currency,
        portfolio.cash,
        equity,
        gross,
        net,
        realized,
        unrealized,
        fees,
        pnl_day,
        portfolio.net_flows,
        portfolio.peak_equity,
        positions,
        is_synthetic,
        portfolio.income,
    )


def _taint(
    position: Position, mark: Mark | None, instrument: Instrument | None, previous: PortfolioSnapshotTaken | None
) -> None:
    """Remember that synthetic data entered a position while it was held, or traded since the ``previous`` valuation."""
    if position.quantity or previous is None or position.last_fill_ts >= previous.ts_event:
        synthetic_mark = mark is not None and mark.is_synthetic
        position.is_synthetic |= synthetic_mark or (instrument is not None and instrument.is_synthetic)


def _open_day(portfolio: Portfolio, ts_event: int) -> None:
    """At the first valuation of a day, remember where the day before ended."""
    day = ts_event // DAY_NS
    if day <= portfolio.day:
        return
    portfolio.day = day
    if portfolio.snapshot is not None:
        portfolio.day_open_equity = portfolio.snapshot.equity
        portfolio.day_open_flows = portfolio.snapshot.net_flows
