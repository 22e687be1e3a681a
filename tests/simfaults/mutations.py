"""Bugs put back on purpose, one a function: each breaks one promise of the production code in the way people do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from libs.clock.live import monotonic_ns
from libs.contracts.orders import SignalGenerated
from libs.engine.committer import Committer
from libs.engine.core import Batch
from libs.engine.host import Host
from libs.engine.lanes import PriorityReader
from libs.engine.replayer import Replayer
from libs.messagebus.errors import TransportError
from libs.messagebus.memory import MemoryTransport
from services.fleet.simfaults.server import Server
from services.marketdata import engine as marketdata
from services.portfolio import engine as portfolio
from services.strategy import order_entry
from services.strategy.engine import StrategyEngine
from services.strategy.halts import HaltBook
from services.strategy.order_manager import OrderManager
from services.strategy.paper.engine import PaperVenueEngine

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]


def acknowledge_before_commit(patch: Patch) -> None:
    async def commit(self: Host, batch: Batch) -> None:
        self.replies.settle(batch.replies)
        await self.committer.commit(batch)

    patch.setattr(Host, "_commit", commit)


def forget_the_fence(patch: Patch) -> None:
    patch.setattr(MemoryTransport, "_holder", lambda self, reader, epoch: self._readers[reader])


def resend_after_recovery_under_a_new_id(patch: Patch) -> None:
    restore = StrategyEngine.restore

    def resending(self: StrategyEngine, state: Any) -> None:
        restore(self, state)
        for order in [one for one in self.orders.working() if one.state == "submitted"]:
            self.orders.submit(
                self.orders.next_id(), _request_of(order), currency=order.currency, multiplier=order.multiplier,
                reference_price=order.reference_price, ts=self.now_ns,
            )  # fmt: skip

    patch.setattr(StrategyEngine, "restore", resending)


def resend_an_unanswered_order_under_a_new_id(patch: Patch) -> None:
    def resending(self: OrderManager, now: int, patience_ns: int) -> None:
        for order in [one for one in self.working() if one.state == "submitted"]:
            if now - order.ts_submitted > patience_ns:
                self.submit(
                    self.next_id(), _request_of(order), currency=order.currency, multiplier=order.multiplier,
                    reference_price=order.reference_price, ts=now,
                )  # fmt: skip

    patch.setattr(OrderManager, "lose_unanswered", resending)


def _request_of(order: Any) -> order_entry.OrderRequest:
    return order_entry.OrderRequest(
        order.portfolio_id, order.strategy_id, order.symbol, order.side, order.quantity, order.order_type,
        order.time_in_force, order.limit_price, order.stop_price, order.reduce_only,
    )  # fmt: skip


def skip_one_journal_entry(patch: Patch) -> None:
    replay = Replayer.replay

    async def skipping(self: Replayer, number: int, entry: Any) -> Batch:
        if number % 7 == 5:
            return Batch({}, [], b"", entry.output_hash)
        return await replay(self, number, entry)

    patch.setattr(Replayer, "replay", skipping)


def read_a_clock_of_the_machine_in_a_handler(patch: Patch) -> None:
    decide = StrategyEngine.on_step_closed

    def timed(self: StrategyEngine, event: Any) -> None:
        decide(self, event)
        strength = float(monotonic_ns() % 1_000_003)
        self._outbox.publish(SignalGenerated(event.ts_event, "cross", "IBM.XNYS", "flat", strength, "how late it is"))

    patch.setattr(StrategyEngine, "on_step_closed", timed)


def snapshot_without_working_orders(patch: Patch) -> None:
    def forgetful(self: PaperVenueEngine) -> Any:
        return msgspec.structs.replace(self.state, working={})

    patch.setattr(PaperVenueEngine, "snapshot", forgetful)


def snapshot_without_reference_prices(patch: Patch) -> None:
    snapshot = StrategyEngine.snapshot

    def forgetful(self: StrategyEngine) -> Any:
        return msgspec.structs.replace(snapshot(self), marks={})

    patch.setattr(StrategyEngine, "snapshot", forgetful)


def retried_commit_lands_twice(patch: Patch) -> None:
    commit_nowait = MemoryTransport.commit_nowait

    def again(self: MemoryTransport, commit: Any) -> None:
        state = self._holder(commit.reader, commit.epoch)
        if commit.number == state.commits:
            self._put(commit.outputs)
            return
        commit_nowait(self, commit)

    patch.setattr(MemoryTransport, "commit_nowait", again)


def position_recorded_without_outputs(patch: Patch) -> None:
    commit_nowait = MemoryTransport.commit_nowait

    def torn(self: MemoryTransport, commit: Any) -> None:
        kept = commit.outputs if commit.number % 23 else ()
        commit_nowait(self, _Torn(commit, kept))  # type: ignore[arg-type]

    patch.setattr(MemoryTransport, "commit_nowait", torn)


class _Torn:
    def __init__(self, commit: Any, outputs: Any) -> None:
        self._commit, self.outputs = commit, outputs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._commit, name)


def failed_commit_taken_for_done(patch: Patch) -> None:
    async def once(self: Committer, operation: Callable[[], Any]) -> Any:
        try:
            return await operation()
        except TransportError as error:
            self.on_transport_error(error)

    retrying = Committer.retrying

    async def commit(self: Committer, batch: Batch) -> None:
        self.retrying = once.__get__(self)  # type: ignore[method-assign]
        try:
            await real(self, batch)
        finally:
            self.retrying = retrying.__get__(self)  # type: ignore[method-assign]

    real = Committer.commit
    patch.setattr(Committer, "commit", commit)


def duplicate_report_booked_twice(patch: Patch) -> None:
    apply = OrderManager.apply

    def forgetful(self: OrderManager, report: Any) -> Any:
        order = self.get(report.client_order_id)
        if order is not None and report.report == "filled":
            order.reports.clear()
            order.filled_quantity = min(order.filled_quantity, order.quantity - report.last_quantity)
        return apply(self, report)

    patch.setattr(OrderManager, "apply", forgetful)
    table = dict(_transitions())
    table["filled", "fill"] = "filled"
    patch.setattr("services.strategy.order_states.TRANSITIONS", table)


def _transitions() -> Any:
    from services.strategy.order_states import TRANSITIONS

    return TRANSITIONS


def halt_ignored(patch: Patch) -> None:
    patch.setattr(HaltBook, "stopping", lambda *_, **__: None)


def working_orders_survive_a_halt(patch: Patch) -> None:
    patch.setattr("services.strategy.engine.covers_order", lambda *_: False)


def gate_left_open(patch: Patch) -> None:
    patch.setattr(order_entry, "CHECKS", ())


def repeated_timestamp_published_again(patch: Patch) -> None:
    patch.setattr(marketdata, "wants_part", lambda *_: True)


def repeated_append_taken_again(patch: Patch) -> None:
    def append(self: MemoryTransport, producer: str, sequence: int, count: int, outputs: Any) -> bool:
        self._put(outputs)
        return True

    patch.setattr(MemoryTransport, "append_nowait", append)


def put_back_entries_forgotten(patch: Patch) -> None:
    patch.setattr(PriorityReader, "put_back", lambda self, entries: None)


def commission_forgotten_on_sales(patch: Patch) -> None:
    book = portfolio.book_fill

    def generous(account: Any, position: Any, fill: Any) -> None:
        book(account, position, fill)
        if fill.side == "sell":
            account.cash += fill.commission

    patch.setattr(portfolio, "book_fill", generous)


def going_on_after_the_log_went_backward(patch: Patch) -> None:
    patch.setattr(Server, "check_mark", lambda self, mark: None)


MUTATIONS: tuple[Mutation, ...] = (
    acknowledge_before_commit, forget_the_fence, resend_after_recovery_under_a_new_id,
    resend_an_unanswered_order_under_a_new_id, skip_one_journal_entry, read_a_clock_of_the_machine_in_a_handler,
    snapshot_without_working_orders, snapshot_without_reference_prices, retried_commit_lands_twice,
    position_recorded_without_outputs, failed_commit_taken_for_done, duplicate_report_booked_twice, halt_ignored,
    working_orders_survive_a_halt, gate_left_open, repeated_timestamp_published_again, repeated_append_taken_again,
    put_back_entries_forgotten, commission_forgotten_on_sales, going_on_after_the_log_went_backward,
)  # fmt: skip
