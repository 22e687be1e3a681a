"""Assessing a portfolio: exposures, tail risk and volatility of given holdings, at one time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import RiskCalculated
from libs.finance.drawdown import drawdown, next_peak
from services.risk.exposure import exposure_of, holdings_of
from services.risk.prices import DAY_NS, PriceTable
from services.risk.simulation import VALUE_NAMES, annual_volatility, missing_reason, simulate, tail_values
from services.risk.state import Assessment, PortfolioView


class History(NamedTuple):
    """How much of the past is looked at, in days.

    Attributes:
        window: Newest joint returns a simulation uses.
        minimum: Fewer than these give no value.
        volatility: Newest outcomes volatility is taken of.
    """

    window: int
    minimum: int
    volatility: int


def next_view(previous: PortfolioView | None, snapshot: PortfolioSnapshotTaken) -> PortfolioView:
    """The view after a valuation, its peak carried over flows."""
    equity = float(snapshot.equity)
    if previous is None:
        return PortfolioView(snapshot, float(snapshot.peak_equity))
    flow = float(snapshot.net_flows - previous.snapshot.net_flows)
    return PortfolioView(snapshot, next_peak(previous.peak, float(previous.snapshot.equity), equity, flow))


def assess(
    view: PortfolioView,
    prices: PriceTable,
    history: History,
    ts_event: int,
    stale: str = "",
    what_if: Mapping[str, float] | None = None,
) -> Assessment:
    """Measure a portfolio.

    Args:
        view: Its last valuation.
        prices: Daily closes.
        history: How much of them counts.
        ts_event: Of what is published.
        stale: Why the valuation is too old to act on, else empty: then nothing is simulated.
        what_if: Market value by symbol of other holdings; equity stays, because a trade at the mark changes none.
    """
    snapshot = view.snapshot
    equity = float(snapshot.equity)
    holdings = holdings_of(snapshot) if what_if is None else dict(sorted(what_if.items()))
    is_synthetic = snapshot.is_synthetic or any(prices.is_synthetic(symbol) for symbol in holdings)
    outcomes = simulate(holdings, prices, history.window)
    reason = stale or missing_reason(outcomes, prices, history.minimum)
    risk = RiskCalculated(
        ts_event,
        snapshot.portfolio_id,
        {} if reason else tail_values(outcomes),
        dict.fromkeys(VALUE_NAMES, reason) if reason else {},
        outcomes.observations,
        is_synthetic=is_synthetic,
    )
    short = stale or missing_reason(outcomes, prices, history.volatility)
    if not short and equity <= 0.0 and holdings:
        short = f"equity must be positive to measure volatility against, was {equity!r}"
    return Assessment(
        exposure_of(ts_event, snapshot.portfolio_id, holdings, equity, drawdown(equity, view.peak), is_synthetic),
        risk,
        holdings,
        float(snapshot.pnl_day),
        None if short else annual_volatility(outcomes, history.volatility, equity),
        short,
        stale,
    )


def stale_reason(
    snapshot: PortfolioSnapshotTaken, now_ns: int, valuation_max_age_seconds: float, mark_max_age_days: float
) -> str:
    """Why a valuation must not be acted on at ``now_ns``: it, or a price in it, is too old. Empty if it may."""
    age_seconds = (now_ns - snapshot.ts_event) / 1e9
    if age_seconds > valuation_max_age_seconds:
        return f"the last valuation is {age_seconds:g} s old, at most {valuation_max_age_seconds:g} s may pass"
    for position in snapshot.positions:
        age_days = (now_ns - position.mark_ts) / DAY_NS
        if age_days > mark_max_age_days:
            return f"the price of {position.symbol} is {age_days:.1f} days old, at most {mark_max_age_days:g} may pass"
    return ""
