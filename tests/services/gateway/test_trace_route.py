"""The gateway's trace: the same walk as the command's, and problems that say what is wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

from libs.contracts.market import CloseReceived
from libs.contracts.orders import SignalGenerated
from libs.contracts.topics import CODEC
from libs.messagebus.envelope import Input, RecordBatch, ReferringBatch
from libs.messagebus.transport import Output, Transport
from tests.services.gateway.upstreams import gateway

CLOSE = CloseReceived(1_000, "KO.XNYS", "1d", 12.5, "test")
SIGNAL = SignalGenerated(1_000, "s", "KO.XNYS", "buy", 0.1, "why not")


async def put(bus: Transport, stream: str, *batches: RecordBatch) -> None:
    for batch in batches:
        outputs = [Output(stream, CODEC.encode(batch))]
        await bus.append(f"test-{stream}", batch.sequence, len(batch.events), outputs)


def test_an_event_is_walked_back_over_http(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path) as (here, _):
            bus = here.process.parts.transport
            await put(bus, "market:normal", RecordBatch("marketdata", 40, 0, [CLOSE, CLOSE]))
            signal = ReferringBatch("strategy", 7, 0, [SIGNAL], [Input("marketdata", 40, 2)], [1], [], [["risk:5"]])
            await put(bus, "strategy:high", signal)
            status, body = await here.ask("GET", "gateway", "/api/v1/trace/strategy:7")
            assert (status, body["role"], body["event"]["reason"]) == (200, "signal", "why not")
            price, unknown = body["links"]
            assert (price["event_id"], price["relation"], price["event"]["close"]) == ("marketdata:41", "cause", 12.5)
            assert (unknown["event_id"], unknown["relation"]) == ("risk:5", "reference")
            assert "must have been published" in unknown["missing"]

    asyncio.run(scenario())


def test_ids_that_lead_nowhere_are_problems(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path) as (here, _):
            bus = here.process.parts.transport
            for sequence in range(4):
                await put(bus, "market:normal", RecordBatch("marketdata", sequence, 0, [CLOSE]))
            await bus.trim({"market:normal": 1})
            for event_id, expected in (
                ("marketdata:3", (200, None)),
                ("marketdata:0", (410, "event-trimmed")),
                ("marketdata:4", (404, "unknown-event")),
                ("nonsense", (422, "invalid-event-id")),
            ):
                status, body = await here.ask("GET", "gateway", f"/api/v1/trace/{event_id}")
                assert (status, body.get("code")) == expected

    asyncio.run(scenario())


def test_a_strict_gateway_asks_for_a_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, process={"auth": "strict"}) as (here, _):
            status, body = await here.ask("GET", "gateway", "/api/v1/trace/strategy:7")
            assert (status, body["code"]) == (401, "token-missing")

    asyncio.run(scenario())
