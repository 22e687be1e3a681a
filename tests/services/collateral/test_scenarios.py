"""The crisis moves that shipped data can confirm are confirmed by them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from services.collateral.scenarios import SCENARIOS
from services.marketdata.adapters.dataset import open_dataset
from services.marketdata.settings import MarketDataSettings


def test_the_equity_move_of_the_great_financial_crisis_is_that_of_the_index() -> None:
    """Closes of the S&P 500 from the arch package; the scenario rounds to whole percent, hence half a percent."""
    settings = MarketDataSettings(start_date=date(2007, 10, 9), end_date=date(2009, 3, 10))
    closes = [bar.close for batch in open_dataset(settings) for bar in batch.bars if bar.symbol == "SPX.INDEX"]
    move = Decimal(repr(closes[-1] / closes[0] - 1))
    assert (round(closes[0]), round(closes[-1])) == (1565, 677)
    assert abs(move - SCENARIOS["gfc_2008"].prices["equity"]) < Decimal("0.005")
