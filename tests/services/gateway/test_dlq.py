"""Dead letters over HTTP, on the real gateway: looked at by all, settled by administrators, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

from libs.contracts.dead_letters import dead_letter
from libs.contracts.orders import PlaceOrder
from libs.contracts.system import EventDeadLettered
from libs.contracts.topics import CODEC, PLACE_ORDER
from libs.engine.users import UserStore
from libs.messagebus.transport import START, Entry
from tests.services.gateway.upstreams import gateway
from tests.services.websocket.running import Running

PASSWORD = "correct horse battery"
NOW = 1_600_000_000_000_000_000


def run(tmp_path: Path, scenario: Callable[[Running], Coroutine[Any, Any, None]]) -> None:
    users = UserStore(tmp_path)
    users.add("ann", PASSWORD, ["trader"])
    users.add("root", PASSWORD, ["admin"])

    async def inside() -> None:
        async with gateway(tmp_path) as (here, _):
            await scenario(here)

    asyncio.run(inside())


async def bearer(here: Running, name: str) -> dict[str, str]:
    body = {"username": name, "password": PASSWORD}
    _, found = await here.ask("POST", "gateway", "/api/v1/auth/login", json=body)
    return {"Authorization": f"Bearer {found['access_token']}"}


def letter(index: int, payload: bytes, **changes: Any) -> EventDeadLettered:
    entry = Entry(PLACE_ORDER.stream, "1-0", b"")
    given = {"event_id": f"test:{index}", "topic": PLACE_ORDER.name, "error": "ValueError: x", "place": "y"} | changes
    return dead_letter(NOW, given.pop("reader", "strategy"), entry, index, payload=payload, **given)


async def put_letters(here: Running) -> PlaceOrder:
    order = PlaceOrder(
        NOW, "key-1", "main", "manual", "AAPL.XNAS", "buy", "market", "day", Decimal(1), None, None, False, "ann"
    )
    here.put(order)
    here.put(letter(0, CODEC.encode_event(order)))
    here.put(letter(0, b"\xff", event_id="", topic="", reader="risk"))
    return order


def test_letters_are_listed_shown_retried_and_dropped(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        order = await put_letters(here)
        root = await bearer(here, "root")
        _, page = await here.ask("GET", "gateway", "/api/v1/dlq?limit=1")
        assert (page["count"], page["items"][0]["reader"]) == (1, "risk")
        _, rest = await here.ask("GET", "gateway", f"/api/v1/dlq?cursor={page['next_cursor']}")
        assert (rest["count"], rest["next_cursor"]) == (1, None)
        first, second = rest["items"][0]["id"], page["items"][0]["id"]
        _, shown = await here.ask("GET", "gateway", f"/api/v1/dlq/{first}")
        assert (shown["event_type"], shown["event"]["symbol"], shown["state"]) == ("PlaceOrder", "AAPL.XNAS", "open")
        assert shown["payload_hex"] == CODEC.encode_event(order).hex()
        _, shown = await here.ask("GET", "gateway", f"/api/v1/dlq/{second}")
        assert (shown["event"], shown["payload_hex"]) == (None, "ff")
        assert shown["event_error"]
        status, done = await here.ask("POST", "gateway", f"/api/v1/dlq/{first}/retry", headers=root)
        assert (status, done["state"].startswith("retried by root at ")) == (200, True)
        entries = await here.transport.read({PLACE_ORDER.stream: START}, 9, 0)
        assert [CODEC.decode(entry.data).events for entry in entries] == [[order], [order]]
        status, problem = await here.ask("POST", "gateway", f"/api/v1/dlq/{first}/retry", headers=root)
        assert (status, problem["code"]) == (409, "letter-settled")
        path = f"/api/v1/dlq/{second}/drop"
        status, done = await here.ask("POST", "gateway", path, headers=root, json={"reason": "rubbish"})
        assert (status, done["state"].endswith(": rubbish")) == (200, True)
        _, left = await here.ask("GET", "gateway", "/api/v1/dlq")
        assert left["items"] == []
        _, everything = await here.ask("GET", "gateway", "/api/v1/dlq?settled=true&reader=risk")
        assert [item["id"] for item in everything["items"]] == [second]

    run(tmp_path, scenario)


def test_only_administrators_settle(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        await put_letters(here)
        _, page = await here.ask("GET", "gateway", "/api/v1/dlq")
        ann = await bearer(here, "ann")
        for what in ("retry", "drop"):
            path = f"/api/v1/dlq/{page['items'][0]['id']}/{what}"
            assert (await here.ask("POST", "gateway", path))[0] == 401
            status, problem = await here.ask("POST", "gateway", path, headers=ann)
            assert (status, problem["permission"]) == (403, "admin:all")
        _, after = await here.ask("GET", "gateway", "/api/v1/dlq")
        assert after == page
        assert len(await here.transport.read({PLACE_ORDER.stream: START}, 9, 0)) == 1

    run(tmp_path, scenario)


def test_what_cannot_be_done_is_a_problem(tmp_path: Path) -> None:
    async def scenario(here: Running) -> None:
        await put_letters(here)
        root = await bearer(here, "root")
        for path in ("/api/v1/dlq/nonsense", "/api/v1/dlq/7-0.0", "/api/v1/dlq?cursor=nonsense"):
            status, problem = await here.ask("GET", "gateway", path)
            assert (status, problem["code"]) == (404, "letter-unknown"), path
        assert (await here.ask("GET", "gateway", "/api/v1/dlq?limit=0"))[0] == 422
        await here.transport.acquire("risk", [PLACE_ORDER.stream])
        await here.transport.acquire("strategy", [PLACE_ORDER.stream])
        _, page = await here.ask("GET", "gateway", "/api/v1/dlq?reader=strategy")
        path = f"/api/v1/dlq/{page['items'][0]['id']}/retry"
        status, problem = await here.ask("POST", "gateway", path, headers=root)
        assert (status, problem["code"]) == (409, "stream-shared")
        assert "risk" in problem["detail"]
        assert (await here.ask("POST", "gateway", path, headers=root, json={"shred": True}))[0] == 422
        assert (await here.ask("POST", "gateway", path, headers=root, json={"shared": True}))[0] == 200

    run(tmp_path, scenario)
