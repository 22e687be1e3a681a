"""The state of the risk engine: plain typed data, everything needed to continue bit for bit."""

from __future__ import annotations

import msgspec

from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import (
    ExposureCalculated,
    HaltChanged,
    LimitAction,
    LimitType,
    LimitUpdated,
    RiskCalculated,
    Severity,
)


class PriceSeries(msgspec.Struct):
    """What is known of a symbol besides its daily closes.

    Attributes:
        row: Row of the symbol in the price table.
        open_day, open_price: The day still running and its last price; it becomes a close when a later day begins.
        final_day: Newest day whose close is final, -1 = none.
        is_synthetic: Whether any of its prices ever was.
    """

    row: int
    open_day: int = -1
    open_price: float = 0.0
    final_day: int = -1
    is_synthetic: bool = False


class PriceTableState(msgspec.Struct):
    """The price table: ``closes[row][column]`` is the close of a symbol on ``days[column]``, NaN = none."""

    days: list[int] = []
    closes: list[list[float]] = []
    series: dict[str, PriceSeries] = {}


class PortfolioView(msgspec.Struct):
    """The last valuation of a portfolio, and the peak its drawdown is measured from.

    Attributes:
        peak: Highest equity, scaled by deposits and withdrawals; see ``libs.finance.drawdown.next_peak``.
    """

    snapshot: PortfolioSnapshotTaken
    peak: float


class Assessment(msgspec.Struct, frozen=True):
    """Everything limits are measured on, of one portfolio at one time.

    Attributes:
        holdings: Market value by symbol, sorted, base currency.
        pnl_day: Profit of the day, cash flows taken out.
        volatility: Annualised, as a fraction of equity; None where ``volatility_reason`` says why.
        stale: Why the figures are too old to act on, else empty.
    """

    exposure: ExposureCalculated
    risk: RiskCalculated
    holdings: dict[str, float]
    pnl_day: float
    volatility: float | None
    volatility_reason: str = ""
    stale: str = ""


class Breach(msgspec.Struct):
    """One breach of one limit by one portfolio, from opening to resolution.

    Attributes:
        value, utilization: As of the last assessment; None while it cannot be measured, for ``reason``.
    """

    breach_id: str
    limit_id: str
    limit_type: LimitType
    portfolio_id: str
    symbol: str
    opened_ts: int
    value: float | None
    limit_value: float
    utilization: float | None
    severity: Severity
    action: LimitAction
    reason: str = ""
    resolved_ts: int | None = None
    action_taken: str = ""
    actor: str = ""


class RiskState(msgspec.Struct):
    """Everything the engine knows.

    Attributes:
        open_breaches: By limit and portfolio.
        acknowledged: Breaches a person resolved while they lasted, with the severity that person saw: silent until
            it gets worse or ends.
        resolved_breaches: The newest, oldest first.
        halts: In force, by scope and target.
    """

    prices: PriceTableState
    limits: dict[str, LimitUpdated] = {}
    views: dict[str, PortfolioView] = {}
    assessments: dict[str, Assessment] = {}
    open_breaches: dict[tuple[str, str], Breach] = {}
    acknowledged: dict[tuple[str, str], Severity] = {}
    resolved_breaches: list[Breach] = []
    halts: dict[tuple[str, str], HaltChanged] = {}
    breaches_opened: int = 0
    alerts: int = 0
    assessments_made: int = 0
