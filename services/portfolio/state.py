"""The state of the portfolio engine: plain typed data, everything needed to continue bit for bit."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from libs.contracts.orders import OrderFilled
from libs.contracts.portfolio import PortfolioSnapshotTaken
from services.portfolio.amounts import ZERO
from services.portfolio.identifiers import SeenIds


class Mark(NamedTuple):
    """The last price of a symbol; ``price`` stays the source's float until a position is valued with it."""

    price: float
    ts_event: int
    is_synthetic: bool


class Instrument(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the ledger needs to know of an instrument."""

    multiplier: Decimal
    currency: str
    is_synthetic: bool


class Position(msgspec.Struct):
    """One symbol in one portfolio, at average cost.

    Attributes:
        quantity: Signed; negative = short.
        cost_basis: Exact money paid for the open quantity; negative = received for a short. The average price is
            derived from it, never the other way round, which is why the ledger's identities are exact.
        average_price: ``cost_basis / (quantity * multiplier)`` to ten decimals, 0 when flat.
        realized_pnl: Since inception, before fees.
        fees: Commissions since inception; negative = rebates outweigh them.
        last_fill_price, last_fill_ts: Values the position until the market gives a newer price.
        is_synthetic: Whether a synthetic price or instrument ever entered it; never cleared.
    """

    symbol: str
    multiplier: Decimal
    quantity: Decimal = ZERO
    cost_basis: Decimal = ZERO
    average_price: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    last_fill_price: Decimal = ZERO
    last_fill_ts: int = 0
    is_synthetic: bool = False


class EquityPoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last valuation of one day."""

    ts_event: int
    equity: Decimal
    cash: Decimal
    pnl_day: Decimal
    net_flows: Decimal


class Portfolio(msgspec.Struct):
    """One ledger.

    Attributes:
        net_flows: Deposits less withdrawals since inception, the opening cash included.
        income: Dividends and interest since inception.
        charges: Fees booked as cash flows, besides the commissions of the positions.
        day: UTC day of the last valuation, -1 before the first.
        day_open_equity, day_open_flows: Equity and net flows at the last valuation of the day before ``day``.
        references: Of recorded cash flows.
        snapshot: The last valuation, None before the first.
        history: One point a day, oldest first, thinned when it grows too long.
    """

    portfolio_id: str
    name: str
    base_currency: str
    created_ts: int
    cash: Decimal
    net_flows: Decimal
    day_open_equity: Decimal
    day_open_flows: Decimal
    peak_equity: Decimal
    references: SeenIds
    income: Decimal = ZERO
    charges: Decimal = ZERO
    day: int = -1
    positions: dict[str, Position] = {}
    snapshot: PortfolioSnapshotTaken | None = None
    history: list[EquityPoint] = []


class PortfolioState(msgspec.Struct):
    """Everything the engine knows.

    Attributes:
        fills: Fill ids booked or waiting, so that none is booked twice.
        waiting: Fills of instruments not defined yet, in order of arrival.
    """

    fills: SeenIds
    portfolios: dict[str, Portfolio] = {}
    marks: dict[str, Mark] = {}
    instruments: dict[str, Instrument] = {}
    waiting: list[OrderFilled] = []
    fills_booked: int = 0
    fills_repeated: int = 0
    cash_flows_booked: int = 0
    snapshots_taken: int = 0
