"""What single fills do, against a table computed by hand and against NautilusTrader's ``Position``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import LiquiditySide, OrderSide, OrderType
from nautilus_trader.model.events import OrderFilled as PeerFill
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientOrderId,
    PositionId,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_trader.model.objects import Money
from nautilus_trader.model.position import Position as PeerPosition
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from libs.contracts.portfolio import PositionUpdated
from tests.services.portfolio.builders import fill, harness, instrument

# side, quantity, price, commission -> quantity, average price, realised, fees, cash, unrealised at the fill's price
ROUND_TRIP = [
    ("buy", "100", "10", "1", "100", "10", "0", "1", "998999", "0"),
    ("buy", "100", "12", "1", "200", "11", "0", "2", "997798", "200"),
    ("sell", "50", "13", "1", "150", "11", "100", "3", "998447", "300"),
    ("sell", "150", "9", "1", "0", "0", "-200", "4", "999796", "0"),
]
SHORT = [
    ("sell", "10", "50", "0", "-10", "50", "0", "0", "1000500", "0"),
    ("sell", "10", "60", "0", "-20", "55", "0", "0", "1001100", "-100"),
    ("buy", "5", "40", "0", "-15", "55", "75", "0", "1000900", "225"),
    ("buy", "15", "70", "0", "0", "0", "-150", "0", "999850", "0"),
]
FLIPS = [
    ("buy", "10", "100", "0", "10", "100", "0", "0", "999000", "0"),
    ("sell", "25", "110", "2.5", "-15", "110", "100", "2.5", "1001747.5", "0"),
    ("buy", "40", "90", "0", "25", "90", "400", "2.5", "998147.5", "0"),
    ("sell", "5", "90.5", "-0.5", "20", "90", "402.5", "2", "998600.5", "10"),
]


@pytest.mark.parametrize("table", [ROUND_TRIP, SHORT, FLIPS], ids=["round-trip", "short", "flips"])
def test_tables_computed_by_hand(table: list[tuple[Any, ...]]) -> None:
    engine = harness()
    for side, quantity, price, commission, *expected in table:
        (updated,) = engine.send(fill(side, quantity, price, commission=commission))
        assert isinstance(updated, PositionUpdated)
        cash = engine.engine.state.portfolios["main"].cash
        found = [
            updated.quantity, updated.average_price, updated.realized_pnl, updated.fees, cash, updated.unrealized_pnl,
        ]  # fmt: skip
        assert found == [Decimal(value) for value in expected]


def test_a_third_of_a_cent_is_neither_lost_nor_made() -> None:
    engine = harness()
    engine.send(fill("buy", "3", "10"), fill("buy", "4", "11"))
    engine.send(fill("sell", "1", "10"), fill("sell", "1", "10"))
    position = engine.engine.state.portfolios["main"].positions["AAA.X"]
    # 74 / 7 has no end: what two rounded sevenths do not take stays in the cost of the five that are left.
    assert position.cost_basis == Decimal("74") - 2 * Decimal("10.5714285714")
    engine.send(fill("sell", "5", "10"))
    assert position.realized_pnl == Decimal(70 - 74)
    assert position.cost_basis == 0


SEQUENCES = [
    [("buy", "100", "10.25"), ("buy", "50", "11.75"), ("sell", "30", "12.10"), ("sell", "120", "9.80")],
    [("sell", "100", "20.00"), ("buy", "40", "18.50"), ("sell", "10", "21.25"), ("buy", "70", "22.40")],
    [
        ("buy", "7", "101.01"),
        ("buy", "11", "99.37"),
        ("sell", "5", "103.33"),
        ("buy", "2", "97.10"),
        ("sell", "15", "95"),
    ],
]


@pytest.mark.parametrize("sequence", SEQUENCES, ids=["long", "short", "mixed"])
def test_realised_profit_is_nautilus_traders(sequence: list[tuple[Any, ...]]) -> None:
    peer_instrument = TestInstrumentProvider.equity(symbol="AAA", venue="X")
    engine, peer = harness(), None
    for number, (side, quantity, price) in enumerate(sequence):
        (updated,) = engine.send(fill(side, quantity, price))
        event = peer_fill(peer_instrument, number, side, quantity, price)
        if peer is None:
            peer = PeerPosition(peer_instrument, event)
        else:
            peer.apply(event)
        # It works in floats and rounds each close to the cent of its currency, hence half a cent a fill.
        assert updated.realized_pnl == pytest.approx(
            peer.realized_pnl.as_decimal(), abs=Decimal("0.005") * (number + 1)
        )
        assert float(updated.quantity) == peer.signed_qty
        if updated.quantity:
            assert float(updated.average_price) == pytest.approx(peer.avg_px_open, rel=1e-9)


def peer_fill(instrument: Any, number: int, side: str, quantity: str, price: str) -> PeerFill:
    return PeerFill(
        trader_id=TraderId("TESTER-000"),
        strategy_id=StrategyId("S-001"),
        instrument_id=instrument.id,
        client_order_id=ClientOrderId(f"O-{number}"),
        venue_order_id=VenueOrderId(f"V-{number}"),
        account_id=AccountId("X-001"),
        trade_id=TradeId(f"T-{number}"),
        position_id=PositionId("P-1"),
        order_side=OrderSide.BUY if side == "buy" else OrderSide.SELL,
        order_type=OrderType.MARKET,
        last_qty=instrument.make_qty(Decimal(quantity)),
        last_px=instrument.make_price(Decimal(price)),
        currency=USD,
        commission=Money(0, USD),
        liquidity_side=LiquiditySide.TAKER,
        event_id=UUID4(),
        ts_event=number,
        ts_init=number,
    )


def test_a_future_is_worth_its_multiplier() -> None:
    engine = harness()
    engine.send(instrument("ESZ.CME", "50"), fill("buy", "3", "4000.25", "ESZ.CME"))
    portfolio = engine.engine.state.portfolios["main"]
    assert portfolio.positions["ESZ.CME"].average_price == Decimal("4000.25")
    assert portfolio.cash == Decimal(1_000_000) - Decimal("4000.25") * 50 * 3
    (updated,) = engine.send(fill("sell", "3", "4001.25", "ESZ.CME"))
    assert updated.realized_pnl == 150
