"""The whole service over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.engine.tokens import Principal, Tokens, load_secret
from services.websocket.__main__ import services
from services.websocket.settings import WebsocketSettings
from tests.services.websocket.clients import bar, quote
from tests.services.websocket.running import Running, receive, running


def settings(**values: Any) -> WebsocketSettings:
    return WebsocketSettings(port=0, **values)


def test_events_reach_a_client_and_the_surface_tells_of_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(services(settings()), tmp_path) as here:
            socket = await here.http.ws_connect(here.url("websocket", "/ws"), protocols=("nautilus.v1",))
            assert socket.protocol == "nautilus.v1"
            await socket.send_json({"type": "subscribe", "topics": ["marketdata.bar"]})
            await receive(socket, "subscribed")
            here.put(*(bar(close) for close in range(1, 301)))
            frames = await receive(socket, "data", 300)
            assert [frame["data"]["close"] for frame in frames] == [float(close) for close in range(1, 301)]
            _, listed = await here.ask("GET", "websocket", "/connections")
            assert listed["items"][0]["subscriptions"] == ["marketdata.bar"]
            _, text = await here.ask("GET", "websocket", "/metrics")
            assert "nautilus_websocket_connections 1.0" in text
            assert "websocket_messages_sent_total 302.0" in text
            status, health = await here.ask("GET", "websocket", "/health")
            assert status == 200
            assert health["counters"]["connections"] == 1
            await socket.close()

    asyncio.run(scenario())


def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(services(settings()), tmp_path) as here:
            socket = await connect(here)
            await socket.send_json({"type": "subscribe", "topics": ["marketdata.bar"]})
            await receive(socket, "subscribed")
            here.put(*(bar(close) for close in range(1, 6)))
            last = (await receive(socket, "data", 3))[-1]
            await socket.close()
            for first in range(6, 2_000, 7):
                here.put(*(bar(close) for close in range(first, first + 7)))
            socket = await connect(here)
            await socket.send_json(
                {"type": "subscribe", "topics": ["marketdata.bar"], "from": {"marketdata.bar": last["id"]}}
            )
            for first in range(2_001, 2_201, 10):  # published while the replay runs
                here.put(*(bar(close) for close in range(first, first + 10)))
                await asyncio.sleep(0)
            frames = await receive(socket, "data", 2_197)
            assert [int(frame["data"]["close"]) for frame in frames] == list(range(4, 2_201))
            assert frames[0]["replay"] is True
            here.put(bar(5_000))
            (live,) = await receive(socket, "data")
            assert (live["data"]["close"], "replay" in live) == (5_000.0, False)
            await socket.close()

    asyncio.run(scenario())


def test_a_client_is_told_when_what_it_missed_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(services(settings()), tmp_path) as here:
            here.put(bar(1))
            here.put(bar(2))
            here.put(bar(3))
            await here.transport.trim({"market:normal": 1})
            for begin, expected in (("1-0.0", [3.0]), ("900-0.0", [3.0])):
                socket = await connect(here)
                await socket.send_json(
                    {"type": "subscribe", "topics": ["marketdata.bar"], "from": {"marketdata.bar": begin}}
                )
                (gap,) = await receive(socket, "gap")
                assert gap["from"] == begin.partition(".")[0]
                assert gap["oldest"] == "3-0"
                frames = await receive(socket, "data")
                assert [frame["data"]["close"] for frame in frames] == expected
                await socket.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("topics", "begin", "code"),
    [
        ("orders.filled", "nonsense", "bad-position"),
        ("marketdata.**", "1-0.0", "from-needs-one-stream"),
    ],
)
def test_a_resumption_that_cannot_be_is_rejected(tmp_path: Path, topics: str, begin: str, code: str) -> None:
    async def scenario() -> None:
        async with running(services(settings()), tmp_path) as here:
            socket = await connect(here)
            await socket.send_json({"type": "subscribe", "topics": [topics], "from": {topics: begin}})
            (answer,) = await receive(socket, "subscribed")
            assert [item["code"] for item in answer["rejected"]] == [code]
            await socket.close()

    asyncio.run(scenario())


def test_a_client_that_never_reads_delays_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(services(settings(queue=200)), tmp_path) as here:
            stuck = await connect(here)
            reading = await connect(here)
            for socket in (stuck, reading):
                await socket.send_json({"type": "subscribe", "topics": ["marketdata.bar"]})
                await receive(socket, "subscribed")
            stuck._writer.transport.pause_reading()  # type: ignore[union-attr]
            closed = 0
            for first in range(0, 90_000, 500):
                here.put(*(bar(close) for close in range(first, first + 500)))
                frames = await receive(reading, "data", 500)
                assert frames[-1]["data"]["close"] == first + 499
                _, text = await here.ask("GET", "websocket", "/metrics")
                closed = 'nautilus_websocket_closed_total{code="4008"} 1.0' in text
                if closed:
                    break
            assert closed
            assert len(here.process.members) == 1
            await reading.close()
            stuck._writer.transport.abort()  # type: ignore[union-attr]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/elsewhere", {}, 404), ("/ws", {"Origin": "http://evil.example"}, 403)],
)
def test_an_upgrade_is_refused(tmp_path: Path, path: str, headers: dict[str, str], status: int) -> None:
    async def scenario() -> None:
        async with running(services(settings()), tmp_path) as here:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await here.http.ws_connect(here.url("websocket", path), headers=headers)
            assert caught.value.status == status

    asyncio.run(scenario())


def test_a_strict_service_wants_a_token_in_the_header_or_the_first_frame(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(services(settings(auth_seconds=0.1)), tmp_path, auth="strict") as here:
            tokens = Tokens(load_secret(None, tmp_path), here.process.parts.clock)
            token, _, _ = tokens.issue("access", Principal("ann", ("viewer",)))
            url = here.url("websocket", "/ws/trades/updates")
            async with here.http.ws_connect(url, headers={"Authorization": f"Bearer {token}"}) as socket:
                assert (await receive(socket, "subscribed"))[0]["topics"] == ["orders.**"]
            async with here.http.ws_connect(url) as socket:
                await socket.send_json({"type": "auth", "token": token})
                assert (await receive(socket, "subscribed"))[0]["topics"] == ["orders.**"]
            for headers in ({}, {"Authorization": "Bearer nonsense"}):
                async with here.http.ws_connect(url, headers=headers) as socket:
                    while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                        assert message.json()["type"] == "welcome"
                    assert message.data == 4001

    asyncio.run(scenario())


def test_binary_is_refused_and_fragments_are_one_frame(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(services(settings()), tmp_path) as here:
            socket = await connect(here)
            writer = socket._writer.transport
            assert writer is not None
            writer.write(bytes((0x01, 0x80 | 8, 0, 0, 0, 0)) + b'{"type":')  # masked with zeros
            writer.write(bytes((0x80, 0x80 | 7, 0, 0, 0, 0)) + b'"ping"}')
            await receive(socket, "pong")
            await socket.ping(b"x")
            await socket.send_bytes(b"x")
            assert (await socket.receive(timeout=5)).data == 1003

    asyncio.run(scenario())


def test_an_administrator_broadcasts_and_disconnects(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(services(settings()), tmp_path) as here:
            tokens = Tokens(load_secret(None, tmp_path), here.process.parts.clock)
            token, _, _ = tokens.issue("access", Principal("root", ("admin",)))
            admin = {"Authorization": f"Bearer {token}"}
            socket = await connect(here)
            await socket.send_json({"type": "subscribe", "topics": ["system"]})
            await receive(socket, "subscribed")
            where = ("POST", "websocket", "/broadcast")
            hello = {"data": {"text": "hello"}}
            assert (await here.ask(*where, json=hello))[0] == 401
            assert (await here.ask(*where, json={"topic": "orders.filled", "data": {}}, headers=admin))[0] == 422
            _, answer = await here.ask(*where, json=hello, headers=admin)
            assert answer["recipients"] == 1
            (frame,) = await receive(socket, "data")
            assert (frame["id"], frame["data"], frame["source"]) == (answer["message_id"], {"text": "hello"}, "root")
            _, listed = await here.ask("GET", "websocket", "/connections")
            target = f"/connections/{listed['items'][0]['connection_id']}"
            assert (await here.ask("DELETE", "websocket", target, headers=admin))[0] == 200
            assert (await here.ask("DELETE", "websocket", target, headers=admin))[0] == 404
            assert (await socket.receive(timeout=5)).data == 4003

    asyncio.run(scenario())


def test_topics_are_listed_with_how_they_are_delivered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(services(settings()), tmp_path) as here:
            here.put(quote(1))
            _, found = await here.ask("GET", "websocket", "/topics")
            delivery = {item["topic"]: item["delivery"] for item in found["items"]}
            assert delivery["marketdata.quote"] == "newest per key"
            assert delivery["orders.filled"] == "lossless"
            assert "strategy.place_order" not in delivery

    asyncio.run(scenario())


async def connect(here: Running) -> aiohttp.ClientWebSocketResponse:
    socket = await here.http.ws_connect(here.url("websocket", "/ws"))
    await receive(socket, "welcome")
    return socket
