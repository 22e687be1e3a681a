"""NautilusTrader's positions and accounts as ours.

A position there begins and ends (flat); ours goes on for ever per portfolio and symbol. So profits of closed positions
and commissions are summed here, and one ``PositionUpdated`` stands for one fill, also where it turns a position around
and NautilusTrader tells of a closed and an opened one. Profit there is after commissions, ours before:
``realized_pnl = theirs + fees``, exactly.

``mark_price`` and ``unrealized_pnl`` are None: NautilusTrader publishes neither with a position. The first
``AccountState`` of an account is ``PortfolioCreated``; later ones have no counterpart (what fills cost they tell).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from libs.bridges.nautilus_trader.errors import PayloadError, UnmappedError
from libs.bridges.nautilus_trader.memory import LedgerNote, Memory
from libs.bridges.nautilus_trader.wire import decimal, money, text, timestamp
from libs.contracts.portfolio import PortfolioCreated, PositionUpdated


class PositionTranslator:
    """Turns position events into ours; must see the fills too, in the order of the stream."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def note_fill(self, body: Mapping[str, Any], stream: str) -> None:
        """Count the commission of an ``OrderFilled``, and await the position events that it makes.

        Raises:
            PayloadError: If a field is missing or malformed.
        """
        name = _name(body)
        ledger: LedgerNote = self._memory.get("ledger", name) or LedgerNote()
        commission, _ = money(body, "commission")
        self._memory.put(
            "ledger",
            name,
            msgspec.structs.replace(
                ledger,
                fees=ledger.fees + commission,
                pending=decimal(body, "last_qty"),
                fill_id=text(body, "trade_id"),
                stream=stream,
            ),
        )

    def translate(self, kind: str, body: Mapping[str, Any], stream: str) -> PositionUpdated | None:
        """The position after a fill; None for the first of the two events of a fill that turns a position around.

        Raises:
            PayloadError: If a field is missing or malformed.
            UnmappedError: If the stream has not told what the numbers are made of.
        """
        name, position_id = _name(body), text(body, "position_id")
        ledger: LedgerNote = self._memory.get("ledger", name) or LedgerNote()
        self._check(kind, body, ledger, stream)
        pnl, currency = money(body, "realized_pnl")
        if currency != text(body, "currency"):
            raise UnmappedError(f"profit of {position_id} must be in {text(body, 'currency')}, was {currency}")
        closed = kind == "PositionClosed"
        quantity = decimal(body, "quantity")
        ledger = msgspec.structs.replace(
            ledger,
            position_id="" if closed else position_id,
            quantity=quantity if text(body, "side") == "LONG" else -quantity if quantity else Decimal(0),
            closed_pnl=ledger.closed_pnl + pnl if closed else ledger.closed_pnl,
            open_pnl=Decimal(0) if closed else pnl,
            pending=ledger.pending - decimal(body, "last_qty"),
        )
        self._memory.put("ledger", name, ledger)
        if ledger.pending:
            return None
        return PositionUpdated(
            ts_event=timestamp(body, "ts_closed" if body.get("ts_event") is None else "ts_event"),
            portfolio_id=text(body, "account_id"),
            symbol=text(body, "instrument_id"),
            quantity=ledger.quantity,
            average_price=Decimal(0) if closed else decimal(body, "avg_px_open"),
            realized_pnl=ledger.closed_pnl + ledger.open_pnl + ledger.fees,
            fees=ledger.fees,
            mark_price=None,
            unrealized_pnl=None,
            strategy_id=text(body, "strategy_id"),
            fill_id=ledger.fill_id,
        )

    def account(self, body: Mapping[str, Any]) -> PortfolioCreated | None:
        """The portfolio that an account is, with the first balance seen; None for later balances.

        Raises:
            PayloadError: If a field is missing or malformed.
            UnmappedError: If the account has no single base currency.
        """
        account_id, currency = text(body, "account_id"), body.get("base_currency")
        if self._memory.get("account", account_id) is not None:
            return None
        balances = body.get("balances")
        if not isinstance(balances, list) or not all(isinstance(balance, dict) for balance in balances):
            raise PayloadError(f"balances of account {account_id} must be a list of maps, was {balances!r:.64}")
        if not isinstance(currency, str) or len(balances) != 1:
            raise UnmappedError(
                f"account {account_id} must have one base currency, was {currency} with {len(balances)} balances: a "
                "portfolio is kept in one currency"
            )
        event = PortfolioCreated(timestamp(body), account_id, account_id, currency, decimal(balances[0], "total"))
        self._memory.put("account", account_id, currency)
        return event

    def _check(self, kind: str, body: Mapping[str, Any], ledger: LedgerNote, stream: str) -> None:
        position_id, account_id = text(body, "position_id"), text(body, "account_id")
        if ledger.stream and ledger.stream != stream:
            raise UnmappedError(
                f"positions and fills must come on one stream, was '{stream}' and '{ledger.stream}': which position "
                "belongs to which fill cannot be told; set stream_per_topic=False in MessageBusConfig"
            )
        if not ledger.pending:
            raise UnmappedError(f"{kind} of {position_id} must follow its fill, was without; read order events too")
        if kind == "PositionOpened" and ledger.position_id:
            raise UnmappedError(
                f"account {account_id} must hold one position in {text(body, 'instrument_id')} at a time, was "
                f"{ledger.position_id} and {position_id} (hedging, or several strategies): ours are netted"
            )
        if kind != "PositionOpened" and ledger.position_id != position_id:
            raise UnmappedError(
                f"opening of {position_id} must have been seen, was not: profit since inception is unknown; begin at "
                "the start of the stream"
            )
        base = self._memory.get("account", account_id)
        if base is not None and base != text(body, "currency"):
            raise UnmappedError(
                f"profit of {position_id} must be in {base}, the currency of account {account_id}, was "
                f"{text(body, 'currency')}"
            )


def _name(body: Mapping[str, Any]) -> str:
    return f"{text(body, 'account_id')}|{text(body, 'instrument_id')}"
