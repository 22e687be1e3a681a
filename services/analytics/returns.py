"""Time-weighted daily returns of a portfolio, from its valuations.

The return between two valuations is ``equity / (previous equity + flow) - 1``: a deposit or withdrawal is taken at the
previous valuation, whose prices are those it met, which makes the chained product the true time-weighted return (GIPS
2020, 2.A.32; the same convention as :func:`libs.finance.drawdown.next_peak`). Valuations of one UTC day are chained
into one return, so that intraday steps do not change what a daily figure means; the running day is provisional until
the next one begins.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from services.analytics.running import RunningPair, RunningReturns

DAY_NS = 86_400_000_000_000
#: Daily returns kept per portfolio; 79 years of them. Running figures need none of them.
MAX_RETURNS = 20_000


class ReturnSeries(msgspec.Struct):
    """Return history of one portfolio.

    Attributes:
        ts_first, ts_last: First and newest valuation, UNIX ns; 0 before the first.
        equity, net_flows: At the newest valuation, base currency.
        today: Return of the running day so far; meaningful while ``has_today``.
        settled, settled_pair: Statistics of the days that are over.
        benchmark_base, benchmark_now: Benchmark closes of the last settled day and of the running one; None where it
            had none.
        today_began: Valuation from which ``today`` is counted, UNIX ns.
        returns, began, closed: Settled daily returns and the valuations each lies between, oldest first.
        equity_sum: Closing equities of the settled days, added up.
        problem: Why there can be no further return; empty while all is well.
    """

    ts_first: int = 0
    ts_last: int = 0
    equity: Decimal = Decimal(0)
    net_flows: Decimal = Decimal(0)
    today: float = 0.0
    has_today: bool = False
    today_began: int = 0
    settled: RunningReturns = msgspec.field(default_factory=RunningReturns)
    settled_pair: RunningPair = msgspec.field(default_factory=RunningPair)
    benchmark_base: float | None = None
    benchmark_now: float | None = None
    returns: list[float] = []
    began: list[int] = []
    closed: list[int] = []
    equity_sum: Decimal = Decimal(0)
    problem: str = ""

    def value(self, ts: int, equity: Decimal, net_flows: Decimal, benchmark: float | None) -> bool:
        """Take in a valuation.

        Args:
            ts: When, UNIX ns.
            equity: Base currency.
            net_flows: Deposits less withdrawals since inception.
            benchmark: The benchmark's close of that day, None if it had none yet.

        Returns:
            False if it is older than the newest one, or comes after a total loss, and was ignored.
        """
        if ts < self.ts_last or self.problem:
            return False
        if not self.ts_last:
            self.ts_first = ts
            self._remember(ts, equity, net_flows, benchmark)
            return True
        if ts // DAY_NS != self.ts_last // DAY_NS:
            self._settle()
        base, before = self.equity + (net_flows - self.net_flows), self.ts_last
        # Who takes out more than was there took what was earned since: the old equity is what earned it.
        capital = base if base > 0 else self.equity
        self._remember(ts, equity, net_flows, benchmark)
        if capital <= 0:
            return True  # nothing was invested, so nothing was earned or lost
        step = float((equity - base) / capital)
        if step <= -1.0:
            moment = datetime.fromtimestamp(ts // 1_000_000_000, UTC).isoformat()
            self.problem = f"equity was {equity} on {moment}: after a total loss no return is defined"
            return True
        if self.has_today:
            self.today = (1.0 + self.today) * (1.0 + step) - 1.0
        else:
            self.today, self.today_began, self.has_today = step, before, True
        return True

    def current(self) -> RunningReturns:
        """Statistics with the running day."""
        return self.settled.extended(self.today) if self.has_today else self.settled

    def current_pair(self) -> RunningPair:
        """Co-moments with the running day."""
        benchmark = self._benchmark_return()
        return self.settled_pair if benchmark is None else self.settled_pair.extended(self.today, benchmark)

    def history(self) -> tuple[list[float], list[int], list[int]]:
        """Daily returns with the times each began and ended, the running day last."""
        if not self.has_today:
            return list(self.returns), list(self.began), list(self.closed)
        return [*self.returns, self.today], [*self.began, self.today_began], [*self.closed, self.ts_last]

    def average_equity(self) -> Decimal | None:
        """Mean of the closing equities of the days with a return."""
        total, days = self.equity_sum, self.settled.count
        if self.has_today:
            total, days = total + self.equity, days + 1
        return total / days if days else None

    def _remember(self, ts: int, equity: Decimal, net_flows: Decimal, benchmark: float | None) -> None:
        self.ts_last, self.equity, self.net_flows, self.benchmark_now = ts, equity, net_flows, benchmark

    def _settle(self) -> None:
        if self.has_today:
            benchmark = self._benchmark_return()
            if benchmark is not None:
                self.settled_pair.add(self.today, benchmark)
            self.settled.add(self.today)
            self.equity_sum += self.equity
            self.returns.append(self.today)
            self.began.append(self.today_began)
            self.closed.append(self.ts_last)
            if len(self.returns) > MAX_RETURNS:
                del self.returns[0], self.began[0], self.closed[0]
        self.benchmark_base = self.benchmark_now
        self.has_today = False

    def _benchmark_return(self) -> float | None:
        if not self.has_today or self.benchmark_base is None or self.benchmark_now is None:
            return None
        return self.benchmark_now / self.benchmark_base - 1.0
