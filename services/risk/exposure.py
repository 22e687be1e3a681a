"""Exposures: what a portfolio holds, as money and as shares of its equity."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum

from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import ExposureCalculated


def holdings_of(snapshot: PortfolioSnapshotTaken) -> dict[str, float]:
    """Market value by symbol, sorted by symbol, in the base currency."""
    return {position.symbol: float(position.market_value) for position in snapshot.positions}


def exposure_of(
    ts_event: int,
    portfolio_id: str,
    holdings: Mapping[str, float],
    equity: float,
    drawdown: float | None,
    is_synthetic: bool,
) -> ExposureCalculated:
    """Exposures of ``holdings``; sums are exact (``fsum``), so no order of addition can show.

    Of two positions of equal size the first by symbol is the largest.
    """
    long = fsum(value for value in holdings.values() if value > 0.0)
    short = fsum(-value for value in holdings.values() if value < 0.0)
    gross = fsum(abs(value) for value in holdings.values())
    largest_symbol = min(holdings, key=lambda symbol: (-abs(holdings[symbol]), symbol)) if gross else ""
    largest = abs(holdings[largest_symbol]) if gross else 0.0
    return ExposureCalculated(
        ts_event,
        portfolio_id,
        equity,
        gross,
        fsum(holdings.values()),
        long,
        short,
        gross / equity if equity > 0.0 else None,
        largest,
        largest_symbol,
        largest / gross if gross else None,
        drawdown,
        is_synthetic,
    )
