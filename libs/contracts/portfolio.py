"""The ledger: positions, cash, snapshots. Money is Decimal."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from libs.messagebus.topic import Event


class PositionUpdated(Event, frozen=True, tag="portfolio.position.v1"):
    """A position after a fill.

    Attributes:
        quantity: Signed; negative = short.
        average_price: Of the open quantity, 0 when flat.
        realized_pnl: Since inception, before fees.
        fees: Since inception.
        mark_price: Last price seen, or the fill's; None if neither.
        unrealized_pnl: None without a mark.
    """

    portfolio_id: str
    symbol: str
    quantity: Decimal
    average_price: Decimal
    realized_pnl: Decimal
    fees: Decimal
    mark_price: Decimal | None
    unrealized_pnl: Decimal | None
    strategy_id: str = ""
    fill_id: str = ""


class PositionMarked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One position inside a snapshot; ``mark_ts`` is the age of the price it was valued at."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    mark_price: Decimal
    mark_ts: int
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    is_synthetic: bool = False


class PortfolioSnapshotTaken(Event, frozen=True, tag="portfolio.snapshot.v1"):
    """Valuation of a portfolio at a step: ``cash + sum(market_value) = equity`` exactly.

    Attributes:
        pnl_day: Equity less the previous snapshot day's equity less net cash flows since.
        net_flows: Deposits less withdrawals since inception, the opening cash included.
        positions: Non-zero positions, sorted by symbol.
        peak_equity: Highest equity seen (flows removed are not adjusted for).
        income: Dividends and interest since inception, negative = paid. With it
            ``net_flows + income + realized_pnl + unrealized_pnl - fees = equity`` exactly.
    """

    portfolio_id: str
    base_currency: str
    cash: Decimal
    equity: Decimal
    gross: Decimal
    net: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    pnl_day: Decimal
    net_flows: Decimal
    peak_equity: Decimal
    positions: list[PositionMarked]
    is_synthetic: bool = False
    income: Decimal = Decimal(0)


class PortfolioCreated(Event, frozen=True, tag="portfolio.created.v1"):
    """A portfolio exists, with its opening cash."""

    portfolio_id: str
    name: str
    base_currency: str
    cash: Decimal


class CashMoved(Event, frozen=True, tag="portfolio.cash.v1"):
    """Cash entered or left a portfolio other than by a fill; negative = out."""

    portfolio_id: str
    amount: Decimal
    currency: str
    kind: Literal["opening", "deposit", "withdrawal", "dividend", "interest", "fee"]
    reference: str
    balance: Decimal


class RecordCashFlow(Event, frozen=True, tag="portfolio.record_cash_flow.v1"):
    """Command: record a deposit or withdrawal. The same ``reference`` twice is one flow.

    Attributes:
        amount: Positive for a deposit, withdrawal or fee (the kind says which way it goes); signed for a dividend or
            interest, negative = paid.
    """

    portfolio_id: str
    amount: Decimal
    currency: str
    kind: Literal["deposit", "withdrawal", "dividend", "interest", "fee"]
    reference: str
    actor: str


class CreatePortfolio(Event, frozen=True, tag="portfolio.create.v1"):
    """Command: open a portfolio with cash."""

    portfolio_id: str
    name: str
    base_currency: str
    cash: Decimal
    actor: str
