"""Opening portfolios and moving cash: what is refused, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from libs.contracts.portfolio import CreatePortfolio, RecordCashFlow
from libs.engine.errors import CommandRefused
from services.portfolio.amounts import checked_amount
from services.portfolio.identifiers import SeenIds
from services.portfolio.state import Portfolio

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_INVALID = "invalid"


def open_portfolio(
    portfolio_id: str, name: str, base_currency: str, cash: Decimal, ts_event: int, reference_memory: int
) -> Portfolio:
    """A new portfolio whose opening cash is its first flow."""
    return Portfolio(
        portfolio_id,
        name,
        base_currency,
        ts_event,
        cash=cash,
        net_flows=cash,
        day_open_equity=cash,
        day_open_flows=cash,
        peak_equity=cash,
        references=SeenIds(reference_memory),
    )


def check_new_portfolio(command: CreatePortfolio, portfolios: Mapping[str, Portfolio]) -> None:
    """Check that a portfolio can be opened.

    Raises:
        CommandRefused: 409 for an id or name in use, 422 for values that cannot be.
    """
    if not _ID.fullmatch(command.portfolio_id):
        raise CommandRefused(
            422,
            _INVALID,
            f"portfolio_id must be 1 to 64 letters, digits, '_', '.' or '-', was '{command.portfolio_id}'",
            "choose an id that can stand in a path",
        )
    if not command.name.strip():
        raise CommandRefused(422, _INVALID, "portfolio_name must not be blank, was ''", "give it a name")
    if not _CURRENCY.fullmatch(command.base_currency):
        raise CommandRefused(
            422,
            _INVALID,
            f"base_currency must be an ISO 4217 code, was '{command.base_currency}'",
            "write three capital letters, e.g. USD",
        )
    if _amount("cash_balance", command.cash) < 0:
        raise CommandRefused(
            422, _INVALID, f"cash_balance must not be negative, was {command.cash}", "open with 0 or more"
        )
    for portfolio in portfolios.values():
        if portfolio.portfolio_id == command.portfolio_id or portfolio.name == command.name:
            raise CommandRefused(
                409,
                "duplicate",
                f"portfolio must be new, was id '{portfolio.portfolio_id}' with name '{portfolio.name}'",
                "choose another id and name, or use the one that exists",
            )


def check_cash_flow(command: RecordCashFlow, portfolios: Mapping[str, Portfolio], now_ns: int) -> Decimal:
    """Check that a cash flow can be booked.

    Returns:
        The signed amount: negative takes cash out.

    Raises:
        CommandRefused: 404 for an unknown portfolio, 409 for a repeated reference or a withdrawal of more than there
            is, 422 for values that cannot be.
    """
    portfolio = portfolios.get(command.portfolio_id)
    if portfolio is None:
        raise CommandRefused(
            404,
            "unknown-portfolio",
            f"portfolio must exist, was '{command.portfolio_id}'",
            "see GET /portfolios for those that do",
        )
    if not command.reference.strip():
        raise CommandRefused(
            422, _INVALID, "reference must not be blank, was ''", "give each flow its own, so that a repeat is seen"
        )
    if command.currency != portfolio.base_currency:
        raise CommandRefused(
            422,
            _INVALID,
            f"currency must be {portfolio.base_currency}, the portfolio's, was '{command.currency}'",
            "convert it first; a portfolio holds one currency",
        )
    amount = _signed(command)
    _check_reference(portfolio, command.reference, now_ns)
    if command.kind == "withdrawal" and portfolio.cash + amount < 0:
        raise CommandRefused(
            409,
            "overdraft",
            f"withdrawal must not exceed the cash of {portfolio.cash:f}, was {command.amount:f}",
            "sell positions first or withdraw less",
        )
    return amount


def _signed(command: RecordCashFlow) -> Decimal:
    amount = _amount("amount", command.amount)
    if amount == 0:
        raise CommandRefused(422, _INVALID, "amount must not be zero, was 0", "leave out flows of nothing")
    if command.kind in {"dividend", "interest"}:
        return amount
    if amount < 0:
        raise CommandRefused(
            422,
            _INVALID,
            f"amount of a {command.kind} must be positive, was {amount:f}",
            "the kind says which way the money goes",
        )
    return amount if command.kind == "deposit" else amount.copy_negate()


def _check_reference(portfolio: Portfolio, reference: str, now_ns: int) -> None:
    if reference in portfolio.references:
        raise CommandRefused(
            409,
            "duplicate",
            f"reference must be new, was '{reference}', which is booked already",
            "nothing is to be done if this is the same flow; else give it its own reference",
        )
    try:
        portfolio.references.check_judgeable("cash flow", reference, now_ns)
    except ValueError as error:
        raise CommandRefused(409, "duplicate", str(error), "send it later than the flows before it") from None


def _amount(name: str, value: Decimal) -> Decimal:
    try:
        return checked_amount(name, value)
    except ValueError as error:
        raise CommandRefused(422, _INVALID, str(error), "correct the amount") from None
