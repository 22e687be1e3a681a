"""HTTP surface of the strategy engine: reads from its state, writes as commands."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, status

from libs.contracts.orders import CancelAllOrders, CancelOrder, OrderState, PlaceOrder, SetStrategyState
from libs.engine.auth import actor_of
from libs.engine.commands import Commands, Reply
from libs.engine.problems import Problem
from services.strategy.engine import StrategyEngine
from services.strategy.requests import CancelAll, Change, NewOrder
from services.strategy.state import StrategySlot
from services.strategy.views import denied_view, library_view, order_view, position_view, strategy_view

Limit = Annotated[int, Query(ge=1, le=1000)]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


def router(engine: StrategyEngine, commands: Commands) -> APIRouter:
    """Routes of strategies, orders and positions."""
    routes = APIRouter()
    routes.include_router(_strategies(engine, commands))
    routes.include_router(_order_writes(engine, commands))
    routes.include_router(_order_reads(engine))
    return routes


def _strategies(engine: StrategyEngine, commands: Commands) -> APIRouter:
    routes = APIRouter(tags=["strategies"])

    @routes.get("/strategies/library")
    async def library() -> dict[str, Any]:
        """The strategies that can be configured, with the schemas of their parameters."""
        return _page(library_view(), None)

    @routes.get("/strategies")
    async def strategies() -> dict[str, Any]:
        """The strategies of this engine, by id."""
        return _page([strategy_view(engine, slot) for _, slot in sorted(engine.state.slots.items())], None)

    @routes.get("/strategies/{strategy_id}")
    async def strategy(strategy_id: str) -> dict[str, Any]:
        """One strategy."""
        return strategy_view(engine, _slot(engine, strategy_id))

    async def change(request: Request, strategy_id: str, state: Any, reason: str) -> dict[str, Any]:
        actor = actor_of(request)
        return _written(await commands.send(SetStrategyState(engine.now_ns, strategy_id, state, actor, reason)))

    @routes.post("/strategies/{strategy_id}/start")
    async def start(request: Request, strategy_id: str, why: Change) -> dict[str, Any]:
        """Let a strategy trade; a failed one begins anew."""
        return await change(request, strategy_id, "running", why.reason)

    @routes.post("/strategies/{strategy_id}/pause")
    async def pause(request: Request, strategy_id: str, why: Change) -> dict[str, Any]:
        """Withhold a strategy's orders; those that work go on working."""
        return await change(request, strategy_id, "paused", why.reason)

    @routes.post("/strategies/{strategy_id}/stop")
    async def stop(request: Request, strategy_id: str, why: Change) -> dict[str, Any]:
        """Withhold a strategy's orders and cancel those that work; its positions stay."""
        return await change(request, strategy_id, "stopped", why.reason)

    @routes.get("/positions")
    async def positions(strategy_id: str = "", portfolio_id: str = "", include_flat: bool = False) -> dict[str, Any]:
        """What each strategy holds, by its own fills; the ledger of money is the portfolio engine's."""
        items = [
            position_view(engine, key, position)
            for key, position in sorted(engine.positions.items().items())
            if portfolio_id in ("", key[0]) and strategy_id in ("", key[1]) and (include_flat or position.quantity)
        ]
        return _page(items, None)

    return routes


def _order_reads(engine: StrategyEngine) -> APIRouter:
    routes = APIRouter(prefix="/orders", tags=["orders"])

    @routes.get("")
    async def orders(
        state: OrderState | None = None, strategy_id: str = "", symbol: str = "", limit: Limit = 100, cursor: str = ""
    ) -> dict[str, Any]:
        """Orders, newest first, denied ones among them; ``cursor`` is the id after which to go on."""
        found = [
            order.client_order_id
            for order in engine.orders.all()
            if state in (None, order.state) and _is_of(order, strategy_id, symbol)
        ]
        if state in (None, "denied"):
            found += [key for key, one in engine.state.denied.items() if _is_of(one, strategy_id, symbol)]
        ids = sorted((key for key in found if not cursor or key < cursor), reverse=True)
        items = [_order(engine, key) for key in ids[:limit]]
        return _page(items, ids[limit - 1] if len(ids) > limit else None)

    @routes.get("/{client_order_id}")
    async def order(client_order_id: str) -> dict[str, Any]:
        """One order."""
        return _order(engine, client_order_id)

    return routes


def _order_writes(engine: StrategyEngine, commands: Commands) -> APIRouter:
    routes = APIRouter(prefix="/orders", tags=["orders"])

    @routes.post("", status_code=status.HTTP_201_CREATED)
    async def place(request: Request, new: NewOrder, key: Key) -> dict[str, Any]:
        """Place an order through the gate; the same ``Idempotency-Key`` again answers as the first time."""
        command = PlaceOrder(
            engine.now_ns,
            key,
            new.portfolio_id,
            new.strategy_id,
            new.symbol,
            new.side,
            new.order_type,
            new.time_in_force,
            new.quantity,
            new.limit_price,
            new.stop_price,
            new.reduce_only,
            actor_of(request),
        )
        reply = await commands.send(command)
        if reply.value["state"] == "denied":
            raise _denied(reply.value)
        return _written(reply)

    @routes.post("/cancel-all")
    async def cancel_all(request: Request, which: CancelAll) -> dict[str, Any]:
        """Ask for all working orders to be cancelled, or those of a strategy or symbol."""
        command = CancelAllOrders(engine.now_ns, which.strategy_id, which.symbol, actor_of(request), which.reason)
        return _written(await commands.send(command))

    @routes.delete("/{client_order_id}")
    async def cancel(request: Request, client_order_id: str) -> dict[str, Any]:
        """Ask for an order to be cancelled; it is ``pending_cancel`` until the venue has answered."""
        return _written(await commands.send(CancelOrder(engine.now_ns, client_order_id, actor_of(request), "")))

    return routes


def _slot(engine: StrategyEngine, strategy_id: str) -> StrategySlot:
    slot = engine.state.slots.get(strategy_id)
    if slot is None:
        text = f"strategy must be configured, was '{strategy_id}'"
        raise Problem(404, "not-found", text, "see GET /strategies for those that are")
    return slot


def _is_of(order: Any, strategy_id: str, symbol: str) -> bool:
    return strategy_id in ("", order.strategy_id) and symbol in ("", order.symbol)


def _order(engine: StrategyEngine, client_order_id: str) -> dict[str, Any]:
    order = engine.orders.get(client_order_id)
    if order is not None:
        return order_view(order)
    denied = engine.state.denied.get(client_order_id)
    if denied is None:
        text = f"order must be one that is kept, was '{client_order_id}'"
        raise Problem(404, "not-found", text, "see GET /orders; terminal orders are kept until 5,000 later ones ended")
    return denied_view(denied)


def _denied(reply: dict[str, Any]) -> Problem:
    names = ("client_order_id", "check", "value", "limit")
    return Problem(
        409,
        "order-denied",
        f"{reply['check']}: limit {reply['limit']}, was {reply['value']}",
        reply["remedy"],
        {name: reply[name] for name in names},
    )


def _page(items: list[dict[str, Any]], next_cursor: str | None) -> dict[str, Any]:
    return {"items": items, "count": len(items), "next_cursor": next_cursor}


def _written(reply: Reply) -> dict[str, Any]:
    return {**reply.value, "event_id": reply.event_id, "correlation_id": reply.event_id}
