"""Commands of people: place, cancel, start and stop; checked first, answered after the commit."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts.orders import CancelAllOrders, CancelOrder, PlaceOrder, SetStrategyState
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused
from services.strategy.gate import OrderRequest
from services.strategy.order_entry import OrderEntry
from services.strategy.order_manager import OrderManager
from services.strategy.runner import StrategyRunner
from services.strategy.state import Answer, StrategyEngineState

#: Idempotency keys remembered; the oldest is forgotten first.
KEPT_ANSWERS = 5_000


class CommandHandlers:
    """Carries out what arrives in the engine's inbox."""

    def __init__(
        self,
        state: StrategyEngineState,
        orders: OrderManager,
        entry: OrderEntry,
        runner: StrategyRunner,
        clock: Clock,
        outbox: Outbox,
    ) -> None:
        self._state = state
        self._orders = orders
        self._entry = entry
        self._runner = runner
        self._clock = clock
        self._outbox = outbox

    def on_place_order(self, command: PlaceOrder) -> None:
        """Place an order through the gate; the same key with the same order is answered as the first time.

        A denial is an answer and not a refusal of the command: it is recorded and published.

        Raises:
            CommandRefused: If the key is missing, or came with another order before.
        """
        key, fingerprint = command.idempotency_key, _fingerprint(command)
        if not key:
            raise CommandRefused(422, "missing", "idempotency_key must be given, was empty", "send a new key per order")
        known = self._state.answers.get(key)
        if known is not None:
            if known.fingerprint != fingerprint:
                raise CommandRefused(
                    422,
                    "idempotency-key-reused",
                    f"idempotency key '{key}' must stand for one order, was used for another before",
                    "send a new key for a new order",
                )
            self._outbox.reply(known.reply)
            return
        placed = self._entry.place(
            OrderRequest(
                command.portfolio_id,
                command.strategy_id,
                command.symbol,
                command.side,
                command.quantity,
                command.order_type,
                command.time_in_force,
                command.limit_price,
                command.stop_price,
                command.reduce_only,
            )
        )
        reply: dict[str, Any] = {"client_order_id": placed.client_order_id, "state": "submitted"}
        if placed.denial is not None:
            denial = placed.denial
            reply |= {
                "state": "denied",
                "check": denial.check,
                "limit": denial.limit,
                "value": denial.value,
                "remedy": denial.remedy,
            }
        self._remember(key, Answer(fingerprint, reply))
        self._outbox.reply(reply)

    def _remember(self, key: str, answer: Answer) -> None:
        answers = self._state.answers
        answers[key] = answer
        if len(answers) > KEPT_ANSWERS:
            del answers[next(iter(answers))]

    def on_cancel_order(self, command: CancelOrder) -> None:
        """Ask the venue to cancel one order.

        Raises:
            CommandRefused: If the order is unknown, over, or being cancelled already.
        """
        order = self._orders.get(command.client_order_id)
        if order is None:
            raise CommandRefused(
                404, "not-found", f"order '{command.client_order_id}' is not kept", "see GET /orders for those that are"
            )
        if not self._orders.request_cancel(order, _reason(command.actor, command.reason), self._clock.timestamp_ns()):
            raise CommandRefused(
                409,
                "order-over",
                f"order '{order.client_order_id}' must be working, was {order.state}",
                "there is nothing to cancel",
            )
        self._outbox.reply({"client_order_id": order.client_order_id, "state": order.state})

    def on_cancel_all_orders(self, command: CancelAllOrders) -> None:
        """Ask the venue to cancel every working order, or those of a strategy or symbol."""
        now, reason = self._clock.timestamp_ns(), _reason(command.actor, command.reason)
        cancelled = [
            order.client_order_id
            for order in list(self._orders.working())
            if command.strategy_id in ("", order.strategy_id)
            and command.symbol in ("", order.symbol)
            and self._orders.request_cancel(order, reason, now)
        ]
        self._outbox.reply({"client_order_ids": cancelled})

    def on_set_strategy_state(self, command: SetStrategyState) -> None:
        """Start, pause or stop a strategy.

        Raises:
            CommandRefused: If there is no such strategy, or it is in that state already.
        """
        slot = self._state.slots.get(command.strategy_id)
        if slot is None:
            raise CommandRefused(
                404,
                "not-found",
                f"strategy '{command.strategy_id}' is not configured",
                f"use one of {', '.join(sorted(self._state.slots))}, or name it in STRATEGY_STRATEGIES",
            )
        previous = slot.state
        if previous == command.state:
            raise CommandRefused(
                409, "duplicate", f"strategy '{slot.strategy_id}' is {previous} already", "nothing needs to be done"
            )
        self._runner.set_state(slot, command.state, command.actor, command.reason)
        self._outbox.reply({"strategy_id": slot.strategy_id, "previous_state": previous, "state": slot.state})


def _fingerprint(command: PlaceOrder) -> str:
    """What must be equal for two commands to be one order; when it was sent and by whom does not matter."""
    plain = msgspec.structs.replace(command, ts_event=0, actor="", idempotency_key="")
    return msgspec.json.encode(plain).decode()


def _reason(actor: str, reason: str) -> str:
    return f"{actor}: {reason}" if reason else f"cancelled by {actor}"
