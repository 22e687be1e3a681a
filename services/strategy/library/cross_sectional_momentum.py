"""Cross-sectional momentum: hold the past year's strongest instruments, chosen anew each month."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta

from libs.clock.checks import ns_to_datetime
from libs.contracts.market import StepClosed
from services.strategy.library.sizing import lots_for
from services.strategy.state import PriceBar
from services.strategy.strategy import Strategy, StrategyData, StrategyParameters


@lru_cache(maxsize=8)
def month_of(ts_event: int) -> int:
    """The UTC month of a timestamp, counted from year 0: ``12 * year + month - 1``."""
    moment = ns_to_datetime(ts_event)
    return 12 * moment.year + moment.month - 1


class CrossSectionalMomentumParameters(StrategyParameters, frozen=True, kw_only=True):
    """Parameters.

    Attributes:
        lookback_months, skip_months: The return is that from the end of the month ``lookback_months`` before the last
            one to the end of the month ``skip_months`` before the last one (12 and 1: "12-1 momentum").
        quantile: Share of the ranked instruments that is held, at least one.
        equity_fraction: Share of the portfolio's equity spread equally over them.
        minimum_symbols: With fewer instruments ranked nothing is changed.
        symbols: Which ones; empty = every tradable instrument.
        interval: Interval of the prices used.
        retry_steps: Steps to wait after a sell was denied before it is tried again.
    """

    lookback_months: Annotated[int, Meta(ge=1, le=60)] = 12
    skip_months: Annotated[int, Meta(ge=0, le=12)] = 1
    quantile: Annotated[float, Meta(gt=0, le=1)] = 0.2
    equity_fraction: Annotated[float, Meta(gt=0, le=1)] = 0.6
    minimum_symbols: Annotated[int, Meta(ge=1)] = 5
    symbols: Annotated[list[str], Meta(max_length=500)] = []
    interval: str = "1d"
    retry_steps: Annotated[int, Meta(ge=1)] = 5

    def __post_init__(self) -> None:
        """Check what concerns two parameters."""
        if self.skip_months >= self.lookback_months:
            raise ValueError(f"skip_months must be less than lookback_months, was {self.skip_months}")


class CrossSectionalMomentumData(StrategyData):
    """What it remembers.

    Attributes:
        closes: By symbol and month the last close of that month, as far back as the ranking looks.
        month: Month of the last step; 0 before the first.
        targets: Symbols to hold, strongest first.
        phase: Whether this month's sells or buys are still to be placed.
    """

    closes: dict[str, dict[int, float]] = {}
    month: int = 0
    targets: list[str] = []
    phase: Literal["idle", "sell", "buy"] = "idle"
    retry_at: int = 0


class CrossSectionalMomentum(Strategy[CrossSectionalMomentumParameters, CrossSectionalMomentumData]):
    """Buys past winners; N. Jegadeesh, S. Titman, "Returns to Buying Winners and Selling Losers", Journal of Finance 48
    (1993), the winners' side, with the usual skipped month.

    At the first step of a month it ranks, sells what is no longer among the strongest and what is held above its
    equal weight, and once those sells are over buys the rest. The account pays cash, so buys wait for the proceeds.
    """

    library_id = "cross_sectional_momentum"
    title = "holds the strongest fifth by 12-1 month return, equal weights, rebalanced monthly"
    reference = "Jegadeesh, Titman (1993), Journal of Finance 48(1), winners only"
    parameters_type = CrossSectionalMomentumParameters
    data_type = CrossSectionalMomentumData

    def on_bar(self, bar: PriceBar) -> None:
        """Remember the close as its month's last so far."""
        parameters = self.parameters
        if bar.interval != parameters.interval or (parameters.symbols and bar.symbol not in parameters.symbols):
            return
        month = month_of(bar.ts_event)
        closes = self.data.closes.get(bar.symbol)
        if closes is None:
            closes = self.data.closes[bar.symbol] = {}
        if month not in closes:
            oldest = month - parameters.lookback_months - 1
            for past in [past for past in closes if past < oldest]:
                del closes[past]
        closes[month] = bar.close

    def on_step(self, step: StepClosed) -> None:
        """Rank at the first step of a month; place what is still to be placed."""
        data = self.data
        month = month_of(step.ts_event)
        if month != data.month:
            is_first = data.month == 0
            data.month = month
            if not is_first:
                self._rank(month, step.ts_event)
        if data.phase != "idle" and self.desk.is_trading and data.targets and self.desk.step >= data.retry_at:
            self._rebalance()

    def momentum(self, symbol: str, month: int) -> float | None:
        """The formation return of a symbol for ``month``; None where one of its two closes is missing."""
        closes = self.data.closes.get(symbol, {})
        start = closes.get(month - 1 - self.parameters.lookback_months)
        end = closes.get(month - 1 - self.parameters.skip_months)
        return end / start - 1 if start is not None and end is not None else None

    def _rank(self, month: int, ts_event: int) -> None:
        ranked: list[tuple[float, str]] = []
        for symbol in self.desk.tradable_symbols():
            value, mark = self.momentum(symbol, month), self.desk.mark(symbol)
            if value is not None and mark is not None and mark.ts_event == ts_event:
                ranked.append((-value, symbol))
        if len(ranked) < self.parameters.minimum_symbols:
            self.log(f"{len(ranked)} instruments have a return, {self.parameters.minimum_symbols} needed; no change")
            return
        ranked.sort()
        share = Decimal(len(ranked)) * Decimal(repr(self.parameters.quantile))
        chosen = ranked[: max(1, int(share.to_integral_value(rounding=ROUND_FLOOR)))]
        weight = self.parameters.equity_fraction / len(chosen)
        for place, (value, symbol) in enumerate(chosen, 1):
            self.desk.signal(symbol, "buy", weight, f"return {-value:.4f}, place {place} of {len(ranked)}")
        for symbol, _ in self.desk.holdings():
            if all(symbol != winner for _, winner in chosen):
                self.desk.signal(symbol, "flat", 0.0, f"not among the first {len(chosen)} of {len(ranked)}")
        self.data.targets = [symbol for _, symbol in chosen]
        self.data.phase, self.data.retry_at = "sell", 0

    def _rebalance(self) -> None:
        equity = self.desk.equity()
        if equity is None:
            return
        goal = Decimal(repr(self.parameters.equity_fraction)) * equity / len(self.data.targets)
        wanted = {symbol: self._quantity(symbol, goal) for symbol in self.data.targets}
        if self.data.phase == "sell":
            if not self._sell_surplus(wanted):
                self.data.retry_at = self.desk.step + self.parameters.retry_steps
                return
            self.data.phase = "buy"
        if not self.desk.open_orders(side="sell"):
            self._buy_rest(wanted)
            self.data.phase = "idle"

    def _quantity(self, symbol: str, notional: Decimal) -> Decimal:
        mark, rules = self.desk.mark(symbol), self.desk.rules(symbol)
        return lots_for(notional, mark.price, rules) if mark is not None and rules is not None else Decimal(0)

    def _sell_surplus(self, wanted: dict[str, Decimal]) -> bool:
        """Sell down to what is wanted; False where an order was denied."""
        all_placed = True
        for symbol, held in self.desk.holdings():
            surplus = held - wanted.get(symbol, Decimal(0))
            if surplus > 0 and not self.desk.open_orders(symbol):
                all_placed = self.sell(symbol, surplus) is not None and all_placed
        return all_placed

    def _buy_rest(self, wanted: dict[str, Decimal]) -> None:
        """Buy up to what is wanted; where cash does not reach, every buy is cut by the same share."""
        missing: list[tuple[str, Decimal, Decimal]] = []
        for symbol, quantity in wanted.items():
            mark, rules = self.desk.mark(symbol), self.desk.rules(symbol)
            quantity -= self.desk.position(symbol)
            if quantity > 0 and mark is not None and rules is not None:
                missing.append((symbol, quantity, quantity * Decimal(repr(mark.price)) * rules.multiplier))
        cost, spendable = sum((money for _, _, money in missing), Decimal(0)), self.desk.spendable()
        for symbol, quantity, money in missing:
            if cost > spendable:
                quantity = self._quantity(symbol, money * spendable / cost)
            if quantity > 0:
                self.buy(symbol, quantity)
