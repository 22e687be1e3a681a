"""Moving-average cross: long while the short average is above the long one, out of the market while it is below."""

from __future__ import annotations

from decimal import Decimal
from math import fsum
from typing import Annotated

from msgspec import Meta

from services.strategy.library.sizing import lots_for
from services.strategy.state import PriceBar
from services.strategy.strategy import Strategy, StrategyData, StrategyParameters


class MovingAverageCrossParameters(StrategyParameters, frozen=True, kw_only=True):
    """Parameters.

    Attributes:
        fast, slow: Lengths of the simple moving averages, in prices; fast < slow.
        band: The averages must differ by more than this share of the slow one to call for a change.
        weight: Share of the portfolio's equity that one symbol is bought for.
        symbols: Which ones; empty = every tradable instrument.
        interval: Interval of the prices used.
        retry_steps: Steps to wait after an order was denied before it is tried again.
    """

    fast: Annotated[int, Meta(ge=1, le=1_000)] = 10
    slow: Annotated[int, Meta(ge=2, le=1_000)] = 30
    band: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    weight: Annotated[float, Meta(gt=0, le=1)] = 0.015
    symbols: Annotated[list[str], Meta(max_length=500)] = []
    interval: str = "1d"
    retry_steps: Annotated[int, Meta(ge=1)] = 5

    def __post_init__(self) -> None:
        """Check what concerns two parameters."""
        if self.fast >= self.slow:
            raise ValueError(f"fast must be less than slow ({self.slow}), was {self.fast}")


class MovingAverageCrossData(StrategyData):
    """What it remembers: the last ``slow`` closes by symbol, and the step from which a denied symbol is tried again."""

    closes: dict[str, list[float]] = {}
    retry_at: dict[str, int] = {}


class MovingAverageCross(Strategy[MovingAverageCrossParameters, MovingAverageCrossData]):
    """The variable-length moving-average rule, long only.

    W. Brock, J. Lakonishok, B. LeBaron, "Simple Technical Trading Rules and the Stochastic Properties of Stock
    Returns", Journal of Finance 47 (1992): a buy signal while the short average is above the long one by more than
    the band, a sell signal while it is below; inside the band the position is kept.
    """

    library_id = "moving_average_cross"
    title = "long while the fast simple moving average is above the slow one"
    reference = "Brock, Lakonishok, LeBaron (1992), Journal of Finance 47(5), variable-length moving average"
    parameters_type = MovingAverageCrossParameters
    data_type = MovingAverageCrossData

    def on_bar(self, bar: PriceBar) -> None:
        """Move the window of the symbol on and bring its position in line with the averages."""
        parameters = self.parameters
        if bar.interval != parameters.interval or (parameters.symbols and bar.symbol not in parameters.symbols):
            return
        rules = self.desk.rules(bar.symbol)
        if rules is None or not rules.is_tradable:
            return
        closes = self.data.closes.setdefault(bar.symbol, [])
        closes.append(bar.close)
        if len(closes) > parameters.slow:
            del closes[0]
        if len(closes) < parameters.slow or not self.desk.is_trading:
            return
        # Summed anew each time: a running sum would drift, and the window is short (0.3 us for 30 prices).
        fast = fsum(closes[-parameters.fast :]) / parameters.fast
        slow = fsum(closes) / parameters.slow
        if fast > slow * (1 + parameters.band):
            self._enter(bar, fast, slow)
        elif fast < slow * (1 - parameters.band):
            self._leave(bar, fast, slow)

    def _enter(self, bar: PriceBar, fast: float, slow: float) -> None:
        if self.desk.position(bar.symbol) != 0 or self._is_waiting(bar.symbol):
            return
        equity, rules = self.desk.equity(), self.desk.rules(bar.symbol)
        if equity is None or rules is None:
            return
        notional = min(Decimal(repr(self.parameters.weight)) * equity, self.desk.spendable())
        quantity = lots_for(notional, bar.close, rules)
        if quantity == 0:
            return
        self.desk.signal(bar.symbol, "buy", self.parameters.weight, _reason(fast, ">", slow))
        self._note(bar.symbol, self.buy(bar.symbol, quantity))

    def _leave(self, bar: PriceBar, fast: float, slow: float) -> None:
        held = self.desk.position(bar.symbol)
        if held <= 0 or self._is_waiting(bar.symbol):
            return
        self.desk.signal(bar.symbol, "flat", 0.0, _reason(fast, "<", slow))
        self._note(bar.symbol, self.sell(bar.symbol, held))

    def _is_waiting(self, symbol: str) -> bool:
        return self.desk.step < self.data.retry_at.get(symbol, 0) or bool(self.desk.open_orders(symbol))

    def _note(self, symbol: str, client_order_id: str | None) -> None:
        if client_order_id is None:
            self.data.retry_at[symbol] = self.desk.step + self.parameters.retry_steps
        else:
            self.data.retry_at.pop(symbol, None)


def _reason(fast: float, sign: str, slow: float) -> str:
    return f"fast average {fast:.6g} {sign} slow {slow:.6g}"
