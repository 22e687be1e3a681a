"""The state of the analytics engine: plain typed data, everything needed to continue bit for bit."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.contracts.portfolio import PortfolioSnapshotTaken
from services.analytics.execution import ExecutionTotals, PendingFill, PendingOrder
from services.analytics.returns import ReturnSeries
from services.analytics.volatility import SymbolSeries


class PortfolioRecord(msgspec.Struct):
    """Everything kept of one portfolio."""

    base_currency: str = ""
    series: ReturnSeries = msgspec.field(default_factory=ReturnSeries)
    execution: ExecutionTotals = msgspec.field(default_factory=ExecutionTotals)
    is_synthetic: bool = False


class AnalyticsState(msgspec.Struct):
    """The whole state; what waits for the end of a step is part of it."""

    portfolios: dict[str, PortfolioRecord] = {}
    symbols: dict[str, SymbolSeries] = {}
    multipliers: dict[str, Decimal] = {}
    open_orders: dict[str, PendingOrder] = {}
    pending_fills: list[PendingFill] = []
    pending_valuations: list[PortfolioSnapshotTaken] = []
    priced: dict[str, int] = {}
    steps: int = 0
    performance_published: int = 0
    forecasts_published: int = 0
    valuations_ignored: int = 0
    prices_ignored: int = 0
    orders_forgotten: int = 0
