"""The HTTP surface over an engine that has replayed a few days; errors pass the handlers every engine has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest

from libs.clock import TestClock
from libs.contracts.market import CloseStep
from libs.engine.commands import Reply
from libs.engine.errors import CommandRefused
from libs.engine.problems import install_problem_handlers
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness
from services.marketdata.adapters.dataset import open_dataset, survey
from services.marketdata.api import BODY_LIMITS, router
from services.marketdata.engine import MarketDataEngine
from services.marketdata.metrics import register_metrics
from services.marketdata.progress import ReplayProgress
from services.marketdata.settings import MarketDataSettings
from services.marketdata.stepping import REPLAY_FEED, closing_command, opening_command, step_groups
from tests.services.marketdata.builders import EQUITY, settings, write_closes


class Desk:
    """Commands straight into the engine; the fleet's part, closing what was ingested, happens at once."""

    def __init__(self, harness: EngineHarness) -> None:
        self._harness = harness
        self._count = 0

    async def send(self, command: Event, timeout_seconds: float | None = None) -> Reply:
        self._harness.send(command)
        reply = self._harness.reply
        while (feed := self._harness.engine.open_feed()) is not None:
            self._harness.send(CloseStep(feed.cursor_ns, feed.feed, feed.next_stage))
        self._count += 1
        return Reply(f"desk:{self._count}", reply)


class Served:
    """An engine that has replayed ``days`` of two symbols, behind its surface."""

    def __init__(self, folder: Path, days: int = 3, of: int = 5) -> None:
        self.settings: MarketDataSettings = settings(
            write_closes(folder / "closes.csv", of), instruments={"NEW.XNAS": EQUITY.model_dump()}
        )
        self.harness = EngineHarness(lambda clock, outbox: MarketDataEngine(clock, outbox, self.settings))
        self.summary = survey(self.settings)
        self.progress = ReplayProgress(self.summary)
        self.harness.send(opening_command(self.summary, 30.0))
        for batch in list(open_dataset(self.settings))[:days]:
            for group in step_groups(REPLAY_FEED, batch):
                self.harness.send(*group)

    def app(self) -> FastAPI:
        app = FastAPI()
        install_problem_handlers(app, body_limits=BODY_LIMITS)
        clock = TestClock(1_580_515_200_000_000_000)  # 2020-02-01
        app.include_router(router(self.harness.engine, Desk(self.harness), self.settings, self.progress, clock))  # type: ignore[arg-type]
        return app

    def ask(self, talk: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            transport = httpx.ASGITransport(self.app())
            async with httpx.AsyncClient(transport=transport, base_url="http://marketdata") as client:
                return await talk(client)

        return asyncio.run(main())

    def get(self, path: str) -> httpx.Response:
        return self.ask(lambda client: client.get(path))

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.ask(lambda client: client.post(path, json=body))


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def test_feeds_say_where_the_replay_is_and_whom_it_waits_for(served: Served) -> None:
    served.progress.waiting_for = ["risk"]
    (feed,) = served.get("/feeds").json()["items"]
    assert (feed["feed"], feed["state"], feed["steps"], feed["steps_total"], feed["records"]) == (
        "replay",
        "running",
        3,
        5,
        6,
    )
    assert (feed["progress"], feed["last_event_at"], feed["waiting_for"]) == (
        0.5,
        "2020-01-03T21:00:00.000000Z",
        ["risk"],
    )


def test_sources_tell_what_was_read(served: Served) -> None:
    (found,) = served.get("/sources").json()["items"]
    assert found["summary"]["records"] == 10
    assert found["summary"]["symbols"] == ["A.XNAS", "B.XNAS"]
    served.progress.summary = None
    assert served.get("/sources").json()["items"] == [{"name": "test", "summary": None}]


def test_symbols_know_their_instrument_and_age(served: Served) -> None:
    items = served.get("/symbols").json()["items"]
    assert [(one["symbol"], one["asset_class"], one["data_types"], one["age_seconds"]) for one in items] == [
        ("A.XNAS", "equity", ["close"], 0.0),
        ("B.XNAS", "equity", ["close"], 0.0),
    ]


def test_data_is_the_newest_oldest_first(served: Served) -> None:
    items = served.get("/data/A.XNAS?limit=2").json()["items"]
    assert [(one["data_type"], one["close"], one["age_seconds"]) for one in items] == [
        ("close", 12.0, 86_400.0),
        ("close", 13.0, 0.0),
    ]
    assert items[0]["source"] == "test"
    assert served.get("/data/A.XNAS?data_type=bar").json()["items"] == []
    assert served.get("/data/A.XNAS?data_type=news").status_code == 422
    assert served.get("/data/A.XNAS?limit=1001").status_code == 422
    missing = served.get("/data/Z.XNAS")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown-symbol")


def test_a_snapshot_has_what_exists_and_a_reason_for_the_rest(served: Served) -> None:
    found = served.post("/symbols/A.XNAS/snapshot").json()
    assert (found["close"]["close"], found["as_of"]) == (13.0, "2020-01-03T21:00:00.000000Z")
    assert (found["quote"], found["bar"], found["trade"]) == (None, None, None)
    assert sorted(found["reasons"]) == ["bar", "quote", "trade"]
    assert served.post("/symbols/Z.XNAS/snapshot").status_code == 404


def test_a_replay_is_steered(served: Served) -> None:
    paused = served.post("/feeds/replay/pause", {"reason": "lunch"}).json()
    assert (paused["state"], paused["detail"], paused["event_id"]) == ("paused", "paused (by api: lunch)", "desk:1")
    assert served.post("/feeds/replay/resume").json()["state"] == "running"
    assert served.post("/feeds/replay/speed", {"speed": 0}).json()["speed_steps_per_second"] == 0.0
    sought = served.post("/feeds/replay/seek", {"to": "2020-01-05T00:00:00Z"}).json()
    assert sought["seek_to_ns"] == 1_578_182_400_000_000_000


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/feeds/replay/seek", {"to": "2020-01-02T00:00:00Z"}, 409, "time-backwards"),
        ("/feeds/replay/seek", {"to": "2021-01-01T00:00:00Z"}, 422, "out-of-range"),
        ("/feeds/replay/seek", {"to": "soon"}, 422, "invalid-request"),
        ("/feeds/replay/speed", {"speed": -1}, 422, "invalid-request"),
        ("/feeds/replay/speed", {"speed": 1, "unit": "x"}, 422, "invalid-request"),
        ("/feeds/other/pause", None, 404, "unknown-feed"),
    ],
)
def test_steering_that_cannot_be_is_a_problem(served: Served, path: str, body: Any, status: int, code: str) -> None:
    answer = served.post(path, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def row(symbol: str, price: float, timestamp: str = "2020-01-10T21:00:00Z") -> dict[str, Any]:
    return {"symbol": symbol, "data_type": "close", "source": "desk", "timestamp": timestamp, "data": {"close": price}}


def test_rows_are_not_ingested_beside_a_running_replay(served: Served) -> None:
    answer = served.post("/data/ingest", {"data": [row("A.XNAS", 20.0)]})
    assert (answer.status_code, answer.json()["code"]) == (409, "replay-running")
    assert served.harness.engine.state.step == 3


def test_rows_are_ingested_after_the_replay(served: Served) -> None:
    served.harness.send(closing_command(served.summary, 30.0))
    body = {"data": [
        row("NEW.XNAS", 5.0, "2020-01-11T21:00:00Z"), row("A.XNAS", 20.0), row("A.XNAS", -1.0), row("B.XNAS", 30.0),
        row("A.XNAS", 1.0, "2020-02-01T00:00:01Z"), row("Z.XNAS", 1.0),
    ]}  # fmt: skip
    answer = served.post("/data/ingest", body).json()
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]], answer["event_id"]) == (
        3,
        [2, 4, 5],
        "desk:2",
    )
    assert served.harness.engine.state.step == 5
    closes = served.get("/data/A.XNAS").json()["items"]
    assert [one["close"] for one in closes] == [11.0, 12.0, 13.0, 20.0]
    assert "NEW.XNAS" in served.harness.engine.state.instruments
    feeds = {one["feed"]: one for one in served.get("/feeds").json()["items"]}
    assert (feeds["ingest"]["steps"], feeds["ingest"]["records"], feeds["ingest"]["waiting_for"]) == (2, 3, [])


def test_a_request_with_nothing_to_publish_sends_nothing(served: Served) -> None:
    answer = served.post("/data/ingest", {"data": [row("A.XNAS", 0.0)]}).json()
    assert (answer["accepted"], answer["event_id"], len(answer["rejected"])) == (0, None, 1)


def test_too_many_timestamps_belong_into_a_file(served: Served) -> None:
    rows = [row("A.XNAS", 1.0, f"2020-01-10T{n // 60:02d}:{n % 60:02d}:00Z") for n in range(101)]
    answer = served.post("/data/ingest", {"data": rows})
    assert (answer.status_code, answer.json()["code"]) == (422, "too-many-timestamps")


def test_a_body_over_a_megabyte_is_taken_where_data_is(served: Served) -> None:
    rows = [row("A.XNAS", 0.0) for _ in range(12_000)]  # 1.5 MB; every row is rejected, so nothing is published
    answer = served.post("/data/ingest", {"data": rows})
    assert (answer.status_code, len(answer.json()["rejected"])) == (200, 12_000)
    assert served.post("/feeds/replay/pause", {"reason": "x" * 1_500_000}).status_code == 413


def test_metrics_come_from_the_state(served: Served) -> None:
    registry = CollectorRegistry()
    served.progress.step.observe(0.02)
    register_metrics(served.harness.engine, registry, served.progress)
    lines = generate_latest(registry).decode().splitlines()
    for line in (
        'marketdata_messages_processed_total{data_type="close"} 6.0',
        "nautilus_marketdata_steps_total 3.0",
        "nautilus_marketdata_symbols 2.0",
        'nautilus_marketdata_feed_cursor_seconds{feed="replay"} 1.5780852e+09',
        'nautilus_marketdata_feed_state{feed="replay",state="running"} 1.0',
        'marketdata_processing_latency_seconds_bucket{le="0.01",part="step"} 0.0',
        'marketdata_processing_latency_seconds_bucket{le="0.025",part="step"} 1.0',
        'marketdata_processing_latency_seconds_sum{part="step"} 0.02',
    ):
        assert line in lines, line


def test_a_refusal_of_the_engine_is_the_answer(served: Served) -> None:
    served.harness.send(closing_command(served.summary, 30.0))
    with pytest.raises(CommandRefused):
        served.harness.send(CloseStep(0, "nobody", "mark"))
    answer = served.post("/feeds/replay/pause")
    assert (answer.status_code, answer.json()["code"]) == (409, "feed-ended")
    assert "NAUTILUS_DATA_DIR" in answer.json()["remedy"]
