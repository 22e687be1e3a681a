"""Websockets through the gateway, with the real websocket engine behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.engine.tokens import Principal, Tokens, load_secret
from libs.messagebus.redis.locks import free_port
from services.gateway.__main__ import services as gateway_services
from services.gateway.settings import EngineUrls, GatewaySettings
from services.websocket.__main__ import services as websocket_services
from services.websocket.settings import WebsocketSettings
from tests.services.websocket.clients import bar
from tests.services.websocket.running import Running, receive, running


@asynccontextmanager
async def both(data_dir: Path, host: str = "127.0.0.1", **websocket: Any) -> AsyncIterator[Running]:
    port = free_port()
    urls = EngineUrls(websocket_url=f"http://127.0.0.1:{port}")
    services = [
        *websocket_services(WebsocketSettings(port=port, **websocket)),
        *gateway_services(GatewaySettings(port=0, host=host, required=()), urls),
    ]
    async with running(services, data_dir) as here:
        yield here


def test_a_client_of_the_gateway_gets_what_a_client_of_the_engine_gets(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with both(tmp_path) as here:
            origin = {"Origin": here.url("gateway")}
            url = here.url("gateway", "/ws")
            async with here.http.ws_connect(url, protocols=("nautilus.v1",), headers=origin) as socket:
                assert socket.protocol == "nautilus.v1"
                await socket.send_json({"type": "subscribe", "topics": ["marketdata.bar"]})
                await receive(socket, "subscribed")
                for first in range(0, 3_000, 500):
                    here.put(*(bar(close) for close in range(first, first + 500)))
                    frames = await receive(socket, "data", 500)
                    assert [frame["data"]["close"] for frame in frames] == [
                        float(close) for close in range(first, first + 500)
                    ]
                _, health = await here.ask("GET", "gateway", "/health")
                assert health["counters"]["websocket_connections"] == 1
            async with asyncio.timeout(5):
                while (await here.ask("GET", "websocket", "/health"))[1]["counters"]["connections"]:
                    await asyncio.sleep(0.02)

    asyncio.run(scenario())


def test_a_page_of_another_origin_gets_in_through_the_gateway_no_more_than_directly(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with both(tmp_path) as here:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await here.http.ws_connect(here.url("gateway", "/ws"), headers={"Origin": "http://evil.example"})
            assert caught.value.status == 403

    asyncio.run(scenario())


def test_a_gateway_open_to_others_asks_for_a_token_although_the_engine_behind_it_would_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with both(tmp_path, host="0.0.0.0", auth_seconds=0.1) as here:
            # A header of that name from outside changes nothing, whatever it says.
            headers = {"x-nautilus-token-required": ""}
            async with here.http.ws_connect(here.url("gateway", "/ws"), headers=headers) as socket:
                assert (await receive(socket, "welcome"))[0]["authenticated"] is False
                assert (await socket.receive(timeout=5)).data == 4001
            tokens = Tokens(load_secret(None, tmp_path), here.process.parts.clock)
            token = tokens.issue("access", Principal("ann", ("viewer",)))[0]
            async with here.http.ws_connect(here.url("gateway", "/ws")) as socket:
                await socket.send_json({"type": "auth", "token": token})
                assert (await receive(socket, "authenticated"))[0]["user"] == "ann"
            assert (await here.ask("GET", "gateway", "/api/v1/fleet"))[0] == 401
            async with here.http.ws_connect(here.url("websocket", "/ws")) as socket:
                assert (await receive(socket, "welcome"))[0]["authenticated"] is True

    asyncio.run(scenario())


def test_when_the_gateway_stops_its_clients_are_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with both(tmp_path) as here:
            socket = await here.http.ws_connect(here.url("gateway", "/ws"))
            await receive(socket, "welcome")
            here.process.stop()
            assert (await socket.receive(timeout=5)).data == 1001
            await socket.close()

    asyncio.run(scenario())
