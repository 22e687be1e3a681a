"""The risk engine: assesses every portfolio at each step, watches limits, keeps halts.

Prices and valuations are only stored on arrival. Everything is computed at the ``assess`` stage, from what the
``mark`` stage and the market data of the same timestamp left behind, portfolios and limits in sorted order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.market import BarClosed, CloseReceived, QuoteReceived, StepClosed, TradeReceived
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import (
    BreachDetected,
    DeleteLimit,
    HaltTrading,
    LimitUpdated,
    ResolveBreach,
    ResumeTrading,
    SetLimit,
)
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused
from libs.messagebus.topic import Route, on
from services.risk.assessment import History, assess, next_view, stale_reason
from services.risk.breaches import forget_limit, observe, resolve_by_hand
from services.risk.halts import halt_by_command, halt_by_limit, resume
from services.risk.limits import applies, check_limit, measure
from services.risk.prices import PriceTable
from services.risk.settings import RiskSettings
from services.risk.state import Assessment, PriceTableState, RiskState

#: Bars of this length are the close of their day.
DAILY = "1d"


class RiskEngine:
    """Exposures, value at risk, limits and halts of every portfolio."""

    name = "risk"
    state_type: type[msgspec.Struct] = RiskState

    def __init__(self, clock: Clock, outbox: Outbox, settings: RiskSettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self._settings = settings
        self._state = RiskState(PriceTableState())
        # Markets trade on 252 to 365 days of a year: enough columns for a full window of the former.
        self.prices = PriceTable(settings.window_days * 3 // 2)
        self.history = History(settings.window_days, settings.minimum_observations, settings.volatility_days)

    @property
    def state(self) -> RiskState:
        """The state, for reading between batches; prices are in ``prices``."""
        return self._state

    @property
    def now_ns(self) -> int:
        """The engine's time, UNIX nanoseconds."""
        return self._clock.timestamp_ns()

    def routes(self) -> Sequence[Route]:
        """See :class:`libs.engine.engine.Engine`."""
        return (
            on(topics.BAR, self.on_bar),
            on(topics.CLOSE, self.on_close),
            on(topics.QUOTE, self.on_quote),
            on(topics.TICK, self.on_trade),
            on(topics.STEP, self.on_step_closed),
            on(topics.PORTFOLIO_SNAPSHOT, self.on_portfolio_snapshot),
            on(topics.SET_LIMIT, self.on_set_limit),
            on(topics.DELETE_LIMIT, self.on_delete_limit),
            on(topics.RESOLVE_BREACH, self.on_resolve_breach),
            on(topics.HALT_TRADING, self.on_halt_trading),
            on(topics.RESUME_TRADING, self.on_resume_trading),
        )

    def on_start(self) -> None:
        """Set the default limits."""
        for limit in self._settings.default_limits(self.now_ns):
            self._state.limits[limit.limit_id] = limit
            self._outbox.publish(limit)

    def on_time_event(self, name: str, ts_event: int) -> None:
        """The engine arms no timer."""

    def snapshot(self) -> RiskState:
        """See :class:`libs.engine.engine.Engine`."""
        self._state.prices = self.prices.state()
        return self._state

    def restore(self, state: RiskState) -> None:
        """See :class:`libs.engine.engine.Engine`."""
        self._state = state
        self.prices.restore(state.prices)

    def status(self) -> Mapping[str, Any]:
        """Counters for ``/status``."""
        state = self._state
        return {
            "portfolios": len(state.views),
            "limits": len(state.limits),
            "assessments_made": state.assessments_made,
            "breaches_open": len(state.open_breaches),
            "breaches_opened": state.breaches_opened,
            "breach_alerts": state.alerts,
            "halts": [f"{scope} {target}".strip() for scope, target in sorted(state.halts)],
        }

    # -- market data and valuations: stored on arrival -----------------------------------------------

    def on_bar(self, event: BarClosed) -> None:
        """A daily bar closes its day; the close of a shorter one is a price."""
        self._price(event.symbol, event.close, event, event.interval == DAILY)

    def on_close(self, event: CloseReceived) -> None:
        """A daily close closes its day."""
        self._price(event.symbol, event.close, event, event.interval == DAILY)

    def on_trade(self, event: TradeReceived) -> None:
        """A trade is a price."""
        self._price(event.symbol, event.price, event, False)

    def on_quote(self, event: QuoteReceived) -> None:
        """The middle of a two-sided quote is a price; half of a one-sided one would be a made-up price."""
        if event.bid > 0.0 and event.ask > 0.0:
            self._price(event.symbol, event.bid + (event.ask - event.bid) / 2.0, event, False)

    def _price(
        self, symbol: str, price: float, event: BarClosed | CloseReceived | TradeReceived | QuoteReceived, final: bool
    ) -> None:
        if not isfinite(price):
            raise ValueError(f"price of {symbol} must be finite, was {price!r}; correct the source")
        self.prices.record(symbol, event.ts_event, price, is_final=final, is_synthetic=event.is_synthetic)

    def on_portfolio_snapshot(self, event: PortfolioSnapshotTaken) -> None:
        """Keep the valuation for the ``assess`` stage, and its peak."""
        views = self._state.views
        views[event.portfolio_id] = next_view(views.get(event.portfolio_id), event)

    # -- assessing ----------------------------------------------------------------------------------

    def on_step_closed(self, event: StepClosed) -> None:
        """At ``assess``: measure every portfolio and every limit on it."""
        if event.stage != "assess":
            return
        settings, state = self._settings, self._state
        for portfolio_id in sorted(state.views):
            view = state.views[portfolio_id]
            stale = stale_reason(
                view.snapshot, event.ts_event, settings.valuation_max_age_seconds, settings.mark_max_age_days
            )
            found = assess(view, self.prices, self.history, event.ts_event, stale)
            state.assessments[portfolio_id] = found
            state.assessments_made += 1
            if not stale:  # a stale input is a fault, not a number; the risk event carries the reason
                self._outbox.publish(found.exposure)
            self._outbox.publish(found.risk)
            self._watch(portfolio_id, found, event.ts_event)

    def _watch(self, portfolio_id: str, found: Assessment, ts_event: int) -> None:
        for limit_id in sorted(self._state.limits):
            limit = self._state.limits[limit_id]
            if not applies(limit, portfolio_id):
                continue
            announced = observe(self._state, limit, portfolio_id, measure(limit, found), ts_event)
            if announced is None:
                continue
            self._outbox.publish(announced)
            if isinstance(announced, BreachDetected):
                halt = halt_by_limit(self._state, announced)
                if halt is not None:
                    self._outbox.publish(halt)

    # -- commands -----------------------------------------------------------------------------------

    def on_set_limit(self, command: SetLimit) -> None:
        """Create or replace a limit; breaches of the old one are closed, the next step measures the new one."""
        check_limit(command)
        limit = LimitUpdated(
            self.now_ns,
            command.limit_id,
            command.limit_type,
            command.limit_value,
            command.threshold_warning,
            command.action,
            command.enabled,
            command.portfolio_id,
            command.symbol,
            command.actor,
            command.threshold_breach,
            command.equity_fraction,
        )
        self._forget(command.limit_id, command.actor, "the limit was replaced")
        self._state.limits[limit.limit_id] = limit
        self._outbox.publish(limit)
        self._outbox.reply({"limit_id": limit.limit_id})

    def on_delete_limit(self, command: DeleteLimit) -> None:
        """Remove a limit and close its breaches."""
        limit = self._state.limits.get(command.limit_id)
        if limit is None:
            raise CommandRefused(
                404,
                "unknown-limit",
                f"limit must exist, was '{command.limit_id}'",
                "see GET /risk/limits for those that do",
            )
        self._forget(command.limit_id, command.actor, "the limit was removed")
        del self._state.limits[command.limit_id]
        self._outbox.publish(msgspec.structs.replace(limit, ts_event=self.now_ns, enabled=False, actor=command.actor))
        self._outbox.reply({"limit_id": command.limit_id})

    def _forget(self, limit_id: str, actor: str, why: str) -> None:
        for resolved in forget_limit(self._state, limit_id, self.now_ns, actor, why):
            self._outbox.publish(resolved)

    def on_resolve_breach(self, command: ResolveBreach) -> None:
        """Close a breach by hand; it stays silent until it gets worse."""
        resolved = resolve_by_hand(self._state, command.breach_id, self.now_ns, command.actor, command.action_taken)
        self._outbox.publish(resolved)
        self._outbox.reply({"breach_id": command.breach_id})

    def on_halt_trading(self, command: HaltTrading) -> None:
        """Halt at once."""
        self._outbox.publish(halt_by_command(self._state, command, self.now_ns))
        self._outbox.reply({"halted": True, "scope": command.scope, "target": command.target})

    def on_resume_trading(self, command: ResumeTrading) -> None:
        """Lift a halt at once."""
        self._outbox.publish(resume(self._state, command, self.now_ns))
        self._outbox.reply({"halted": False, "scope": command.scope, "target": command.target})
