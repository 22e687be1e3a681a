"""A fill walked back to the market, against a plain scan of the recording as oracle."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import pytest

from libs.contracts.orders import OrderFilled, OrderSubmitted
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.plain import plain
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import LAST, START, Output
from libs.trace.errors import EventIdError, TrimmedEventError, UnknownEventError
from libs.trace.locate import Locator
from libs.trace.walk import TraceNode, Tracer
from services.fleet.record.recording import Recording
from tests.record.recorded import recording_path


@cache
def everything() -> dict[str, tuple[str, str, Any]]:
    """Stream, entry id and event of every id in the recording."""
    found = {}
    with Recording(recording_path()) as recording:
        for stream in REGISTRY.streams():
            for entry in recording.entries(stream, START, LAST, 1_000_000):
                batch = CODEC.decode(entry.data)
                for index, event in enumerate(batch.events):
                    found[batch.event_id(index)] = (stream, entry.entry_id, event)
    return found


def trace(event_id: str, **options: Any) -> TraceNode:
    path = recording_path()

    async def work() -> TraceNode:
        with Recording(path) as recording:
            return await Tracer(Locator(recording, CODEC, REGISTRY), REGISTRY, **options).trace(event_id)

    return asyncio.run(work())


def fills() -> list[tuple[str, OrderFilled]]:
    return [(key, event) for key, (_, _, event) in everything().items() if isinstance(event, OrderFilled)]


def test_every_event_is_found_where_a_scan_finds_it() -> None:
    path = recording_path()

    async def work() -> int:
        with Recording(path) as recording:
            for key in list(everything())[::7]:
                found = await Locator(recording, CODEC, REGISTRY).find(key)  # a fresh one: nothing kept
                assert (found.stream, found.entry_id, found.event) == everything()[key]
        return len(everything())

    assert asyncio.run(work()) > 5_000


def test_a_fill_leads_through_report_order_and_signal_to_features_and_prices() -> None:
    assert len(fills()) > 20
    for key, fill in fills():
        nodes = {node.role: node for node in reversed(trace(key).flat()) if not node.is_repeated}
        order = nodes["order, passed by the gate"]
        assert order.values["client_order_id"] == fill.client_order_id
        assert nodes["execution report"].values["report_id"] == fill.fill_id
        assert nodes["signal"].values["symbol"] == fill.symbol
        assert nodes["signal"].values["strategy_id"] == fill.strategy_id
        assert nodes["signal"].ts_event <= order.ts_event < fill.ts_event
        assert nodes["features"].values["symbol"] == fill.symbol
        assert nodes["valuation"].values["portfolio_id"] == fill.portfolio_id
        assert nodes["valuation"].ts_event <= order.ts_event


def test_the_prices_named_are_those_that_were_used() -> None:
    for key, fill in fills():
        root = trace(key)
        report = next(link for link in root.links if link.role == "execution report")
        price = next(link for link in report.links if link.topic == "marketdata.close")
        assert (price.values["symbol"], price.ts_event) == (fill.symbol, fill.ts_event)
        order = next(node for node in root.flat() if node.topic == "orders.submitted" and not node.is_repeated)
        # The gate checked against a price: the event it names holds exactly that one.
        named = [link for link in order.links if link.topic == "marketdata.close"]
        assert [str(link.values["close"]) if link.values else everything()[link.event_id][2].close for link in named]
        closes = {str(everything()[link.event_id][2].close) for link in named}
        submitted = everything()[order.event_id][2]
        assert isinstance(submitted, OrderSubmitted)
        assert closes == {str(float(submitted.reference_price))}


def test_every_value_shown_is_the_recorded_one_and_every_way_ends_outside() -> None:
    for key, _ in fills():
        for node in trace(key).flat():
            assert not node.missing
            stream, entry_id, event = everything()[node.event_id]
            if node.is_repeated:
                continue
            assert (node.stream, node.entry_id, node.values) == (stream, entry_id, plain(event))
            if not node.links:
                assert node.topic.startswith("marketdata.")


def test_sources_are_followed_when_asked_for() -> None:
    nodes = trace(fills()[0][0], follow_sources=True).flat()
    assert {"marketdata.ingest", "marketdata.close_step"} <= {node.topic for node in nodes}
    assert all(node.links or node.is_repeated or not node.cause for node in nodes)


def test_ids_that_lead_nowhere_are_told_apart() -> None:
    with pytest.raises(UnknownEventError, match=r"the newest of 'strategy' is \d+"):
        trace("strategy:999999")
    with pytest.raises(UnknownEventError, match="nothing of 'nobody'"):
        trace("nobody:1")
    for wrong in ("", "strategy", "strategy:", "strategy:-1", ":5", "strategy:٣"):
        with pytest.raises(EventIdError, match="must be producer:sequence"):
            trace(wrong)


def test_a_trimmed_event_is_called_trimmed_and_in_the_middle_of_a_walk_its_place_says_so() -> None:
    (key, _), path = fills()[-1], recording_path()
    expected = [node.event_id for node in trace(key).flat()]

    async def work() -> None:
        bus = MemoryTransport()
        with Recording(path) as recording:
            for number, stream in enumerate(REGISTRY.streams()):
                outputs = [Output(stream, entry.data) for entry in recording.entries(stream, START, LAST, 1_000_000)]
                await bus.append(f"copy-{number}", 0, len(outputs), outputs)
        whole = await Tracer(Locator(bus, CODEC, REGISTRY), REGISTRY).trace(key)
        assert [node.event_id for node in whole.flat()] == expected
        await bus.trim({"market:normal": 5})
        locator = Locator(bus, CODEC, REGISTRY)
        with pytest.raises(TrimmedEventError, match="was trimmed away"):
            await locator.find("marketdata:3")
        missing = [node for node in (await Tracer(locator, REGISTRY).trace(key)).flat() if node.missing]
        assert missing
        assert all("trimmed away" in node.missing for node in missing)

    asyncio.run(work())
