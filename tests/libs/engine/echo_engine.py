"""A small engine for tests of the host: counts trades by symbol and publishes a signal for every second one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.market import StepClosed, TradeReceived
from libs.contracts.orders import SignalGenerated
from libs.contracts.portfolio import CashMoved, RecordCashFlow
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused
from libs.messagebus.topic import Route, on


class EchoState(msgspec.Struct):
    counts: dict[str, int]
    ticks: int
    balance: Decimal


class EchoEngine:
    name = "echo"
    state_type = EchoState

    def __init__(self, clock: Clock, outbox: Outbox) -> None:
        self._clock = clock
        self._outbox = outbox
        self._counts: dict[str, int] = {}
        self._ticks = 0
        self._balance = Decimal(0)

    def routes(self) -> Sequence[Route]:
        return (
            on(topics.TICK, self.on_trade),
            on(topics.STEP, self.on_step_closed),
            on(topics.RECORD_CASH_FLOW, self.on_record_cash_flow),
        )

    def on_start(self) -> None:
        self._outbox.publish(SignalGenerated(self._clock.timestamp_ns(), "echo", "", "flat", 0.0, "started"))

    def on_time_event(self, name: str, ts_event: int) -> None:
        self._ticks += 1
        self._outbox.publish(SignalGenerated(ts_event, "echo", name, "flat", float(self._ticks), "timer"))

    def on_trade(self, event: TradeReceived) -> None:
        if event.price <= 0:
            self._outbox.publish(SignalGenerated(event.ts_event, "echo", event.symbol, "flat", 0.0, "never seen"))
            raise ValueError(f"price must be positive, was {event.price}")
        count = self._counts[event.symbol] = self._counts.get(event.symbol, 0) + 1
        if count % 2 == 0:
            self._outbox.publish(SignalGenerated(event.ts_event, "echo", event.symbol, "buy", float(count), "even"))

    def on_step_closed(self, event: StepClosed) -> None:
        if "beat" not in self._clock.timer_names:
            self._clock.set_timer_ns("beat", 1_000, event.ts_event, 0)

    def on_record_cash_flow(self, command: RecordCashFlow) -> None:
        if self._balance + command.amount < 0:
            raise CommandRefused(409, "overdraft", f"balance must stay positive, was {self._balance}", "deposit first")
        self._balance += command.amount
        self._outbox.publish(
            CashMoved(command.ts_event, "main", command.amount, "USD", "deposit", command.reference, self._balance)
        )
        self._outbox.reply({"balance": str(self._balance)})

    def snapshot(self) -> EchoState:
        return EchoState(dict(self._counts), self._ticks, self._balance)

    def restore(self, state: EchoState) -> None:
        self._counts, self._ticks, self._balance = dict(state.counts), state.ticks, state.balance

    def status(self) -> Mapping[str, Any]:
        return {"counts": dict(self._counts), "ticks": self._ticks}


def trade(ts: int, symbol: str = "AAA.X", price: float = 10.0) -> TradeReceived:
    return TradeReceived(ts, symbol, price, 1.0, "buy", "test")


def cash(ts: int, amount: str, reference: str = "r") -> RecordCashFlow:
    return RecordCashFlow(ts, "main", Decimal(amount), "USD", "deposit", reference, "tester")
