"""Margin accounts of the fleet's portfolios: what the ledger's valuation means for the margin model."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext

import msgspec

from libs.contracts.portfolio import PortfolioSnapshotTaken, PositionMarked
from libs.contracts.risk import MarginAlertRaised, MarginCalculated
from services.collateral.alerts import AlertBook
from services.collateral.margin import EXACT, Margin, Thresholds, state_of, utilization_of
from services.collateral.positions import RATES, AssetClass, Holding

NS_PER_SECOND = 1_000_000_000


class InstrumentFacts(msgspec.Struct, frozen=True):
    """What the margin model needs of an instrument; no class when the model has none for it (an index)."""

    asset_class: AssetClass | None
    sector: str


class MarginAccount(msgspec.Struct):
    """One monitored portfolio.

    Attributes:
        snapshot: Its newest valuation.
        result: The margin published last.
        last_alert: The alert published last.
        calculations: Margins calculated so far.
        alerts_raised: Alerts raised so far, by severity.
    """

    snapshot: PortfolioSnapshotTaken
    result: MarginCalculated | None = None
    book: AlertBook = msgspec.field(default_factory=AlertBook)
    last_alert: MarginAlertRaised | None = None
    calculations: int = 0
    alerts_raised: dict[str, int] = {}


class CollateralState(msgspec.Struct):
    """The whole state of the engine.

    Attributes:
        due: Portfolios valued since their last calculation, with the time of that valuation.
    """

    accounts: dict[str, MarginAccount] = {}
    instruments: dict[str, InstrumentFacts] = {}
    due: dict[str, int] = {}
    steps: int = 0
    snapshots_ignored: int = 0


def known_class(name: str) -> AssetClass | None:
    """The class of that name in the margin model, if it has one."""
    return next((known for known in RATES if known == name), None)


def holdings_of(
    snapshot: PortfolioSnapshotTaken, instruments: Mapping[str, InstrumentFacts], max_mark_age_seconds: int
) -> list[Holding]:
    """The positions of a valuation as the margin model sees them; what it cannot rate says why."""
    return [
        _holding(position, instruments.get(position.symbol), snapshot.ts_event, max_mark_age_seconds)
        for position in snapshot.positions
    ]


def _holding(position: PositionMarked, facts: InstrumentFacts | None, ts: int, max_mark_age_seconds: int) -> Holding:
    age = (ts - position.mark_ts) // NS_PER_SECOND
    problem = ""
    if facts is None:
        problem = "its instrument is not defined"
    elif age > max_mark_age_seconds:
        problem = f"its price is {age} s old, over {max_mark_age_seconds} s"
    return Holding(
        position.symbol,
        position.symbol,
        (facts.asset_class or "") if facts else "",
        position.quantity,
        position.market_value,
        facts.sector if facts else "",
        unrealized_pnl=position.unrealized_pnl,
        problem=problem,
    )


def collateral_of(snapshot: PortfolioSnapshotTaken) -> Decimal:
    """What stands against a portfolio's margin: its equity.

    The ledger pays for positions in full, so the position's own value is behind its margin. In the terms of the model:
    cash (equity less unrealised profit) plus signed variation margin (unrealised profit); nothing is posted from
    outside, so no haircut applies, and a currency haircut neither, because a portfolio holds one currency.
    """
    return snapshot.equity


def margin_event(
    ts_event: int, snapshot: PortfolioSnapshotTaken, margin: Margin, thresholds: Thresholds
) -> MarginCalculated:
    """The published form of a calculation."""
    collateral = collateral_of(snapshot)
    utilization = utilization_of(margin.total, collateral)
    with localcontext(EXACT):
        excess = collateral - margin.total
    return MarginCalculated(
        ts_event,
        snapshot.portfolio_id,
        margin.initial,
        margin.maintenance,
        margin.offset,
        margin.total,
        collateral,
        excess,
        None if utilization is None else float(utilization),
        state_of(utilization, thresholds),
        [position.holding.symbol for position in margin.unrated()],
        snapshot.is_synthetic,
    )
