"""The collateral engine: margin of every portfolio after every step, alerts when it runs short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.market import InstrumentDefined, StepClosed
from libs.contracts.portfolio import PortfolioSnapshotTaken
from libs.contracts.risk import MarginAlertRaised, MarginCalculated
from libs.engine.engine import Outbox
from libs.messagebus.topic import Route, on
from services.collateral.accounts import (
    NS_PER_SECOND,
    CollateralState,
    InstrumentFacts,
    MarginAccount,
    collateral_of,
    holdings_of,
    known_class,
    margin_event,
)
from services.collateral.alerts import ACTIONS
from services.collateral.margin import calculate_margin, required_action_amount
from services.collateral.positions import Holding
from services.collateral.settings import CollateralSettings


class CollateralEngine:
    """Stores valuations as they come, calculates at ``StepClosed`` *assess*: instruments may come after positions."""

    name = "collateral"
    state_type: type[msgspec.Struct] = CollateralState

    def __init__(self, clock: Clock, outbox: Outbox, settings: CollateralSettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self.settings = settings
        self.state = CollateralState()

    def routes(self) -> Sequence[Route]:
        """The routing table."""
        return (
            on(topics.INSTRUMENT, self.on_instrument_defined),
            on(topics.PORTFOLIO_SNAPSHOT, self.on_portfolio_snapshot_taken),
            on(topics.STEP, self.on_step_closed),
        )

    def on_start(self) -> None:
        """Nothing to prepare."""

    def on_time_event(self, name: str, ts_event: int) -> None:
        """No timer is armed: margins follow steps."""

    def on_instrument_defined(self, event: InstrumentDefined) -> None:
        """Keep class and sector."""
        self.state.instruments[event.symbol] = InstrumentFacts(known_class(event.asset_class), event.sector)

    def on_portfolio_snapshot_taken(self, event: PortfolioSnapshotTaken) -> None:
        """Keep the newest valuation of each portfolio."""
        account = self.state.accounts.get(event.portfolio_id)
        if account is None:
            self.state.accounts[event.portfolio_id] = MarginAccount(event)
        elif event.ts_event < account.snapshot.ts_event:
            self.state.snapshots_ignored += 1
            return
        else:
            account.snapshot = event
        self.state.due[event.portfolio_id] = event.ts_event

    def on_step_closed(self, event: StepClosed) -> None:
        """Calculate what is due in stage *assess*, in sorted order."""
        if event.stage != "assess":
            return
        self.state.steps += 1
        for portfolio_id in sorted(self.state.due):
            account = self.state.accounts[portfolio_id]
            if self._is_due(account, event.ts_event):
                del self.state.due[portfolio_id]
                self._calculate(account, event.ts_event)

    def _is_due(self, account: MarginAccount, ts_event: int) -> bool:
        if account.result is None:
            return True
        # A replay may seek backwards, which is never too soon.
        return not 0 <= ts_event - account.result.ts_event < self.settings.interval_seconds * NS_PER_SECOND

    def _calculate(self, account: MarginAccount, ts_event: int) -> None:
        margin = calculate_margin(self.holdings(account), optimize=self.settings.optimize)
        result = margin_event(ts_event, account.snapshot, margin, self.settings.thresholds)
        account.result = result
        account.calculations += 1
        self._outbox.publish(result)
        if account.book.observe(result.state, ts_event, self.settings.cooldown_seconds * NS_PER_SECOND):
            self._raise_alert(account, result)

    def _raise_alert(self, account: MarginAccount, result: MarginCalculated) -> None:
        thresholds = self.settings.thresholds
        alert = MarginAlertRaised(
            result.ts_event,
            result.portfolio_id,
            result.state,  # type: ignore[arg-type]  # a book never raises ok
            result.margin_utilization,
            float(thresholds.of(result.state)),
            ACTIONS[result.state],
            required_action_amount(result.total_margin, collateral_of(account.snapshot), thresholds.warning),
            result.is_synthetic,
        )
        account.last_alert = alert
        account.alerts_raised[alert.severity] = account.alerts_raised.get(alert.severity, 0) + 1
        self._outbox.publish(alert)

    # -- for the HTTP surface and the host --------------------------------------------------------

    def holdings(self, account: MarginAccount) -> list[Holding]:
        """The positions of an account's newest valuation."""
        return holdings_of(account.snapshot, self.state.instruments, self.settings.max_mark_age_seconds)

    def now_ns(self) -> int:
        """The fleet's time."""
        return self._clock.timestamp_ns()

    def snapshot(self) -> CollateralState:
        """The state itself; the host encodes it at once."""
        return self.state

    def restore(self, state: CollateralState) -> None:
        """Continue from ``state``."""
        self.state = state

    def status(self) -> Mapping[str, Any]:
        """Counters for ``/status``."""
        accounts = self.state.accounts.values()
        return {
            "portfolios": len(self.state.accounts),
            "instruments": len(self.state.instruments),
            "steps": self.state.steps,
            "calculations": sum(account.calculations for account in accounts),
            "alerts_raised": sum(sum(account.alerts_raised.values()) for account in accounts),
            "calculations_due": len(self.state.due),
            "snapshots_ignored": self.state.snapshots_ignored,
        }
