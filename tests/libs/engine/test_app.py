"""The control surface: what it answers follows from the host, and writes answer after the fact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import httpx
from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from libs.clock import LiveClock, TestClock
from libs.contracts.risk import HaltTrading, ResumeTrading
from libs.engine.app import create_app
from libs.engine.auth import Guard
from libs.engine.halts import HaltDesk
from libs.engine.metrics import HostMetrics
from libs.engine.tokens import Principal, Tokens
from libs.engine.vitals import Halt, InputFact, TaskFact, Vitals
from tests.libs.engine.desk_host import RiskDesk, SetHost, serving

WELL = Vitals(
    state="running",
    epoch=3,
    uptime_seconds=100.0,
    bus_age_seconds=0.5,
    progress_age_seconds=0.25,
    inputs=(InputFact("marketdata.bar", 1_000_000_000, 2.0, 7),),
    tasks=(TaskFact("features.host", "running"),),
    journal_entries=12,
    last_hash="00ff",
    snapshot_number=10,
    snapshot_age_seconds=1.5,
)
OPEN = Guard(None)
Client = httpx.AsyncClient


def _with(host: SetHost, use: Callable[[Client], Coroutine[Any, Any, None]], guard: Guard = OPEN) -> RiskDesk:
    """Run ``use`` against the surface of ``host`` beside a risk desk; returns the desk."""
    risk = RiskDesk()

    async def main() -> None:
        running = await serving(risk)
        try:
            transport = httpx.ASGITransport(app=_app(host, risk.desk, guard))
            async with Client(transport=transport, base_url="http://features") as client:
                await use(client)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await risk.publisher.close()

    asyncio.run(main())
    return risk


def _app(host: SetHost, desk: HaltDesk, guard: Guard, registry: CollectorRegistry | None = None) -> Any:
    own = APIRouter(prefix="/features")

    @own.get("/available")
    async def available() -> list[str]:
        return ["sma_20"]

    registry = registry or CollectorRegistry()
    HostMetrics(registry, host.name).observe_batch({"marketdata.bar": 3}, {"features.calculated": 1}, 3, 0.001)
    return create_app(
        host, title="features", routers=[own], registry=registry, settings_view={"FEATURES_PORT": 8500},
        live_clock=LiveClock(), desk=desk, guard=guard,
    )  # fmt: skip


def _get(host: SetHost, path: str) -> httpx.Response:
    found: list[httpx.Response] = []

    async def use(client: Client) -> None:
        found.append(await client.get(path))

    _with(host, use)
    return found[0]


def test_health_has_the_documented_members() -> None:
    answer = _get(SetHost(WELL), "/health")
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == [
        "engine", "status", "version", "instance", "epoch", "uptime_seconds", "messagebus_connected", "halted",
        "halt_reason", "checks", "degraded_reasons", "counters",
    ]  # fmt: skip
    assert (body["status"], body["messagebus_connected"], body["epoch"]) == ("healthy", True, 3)
    assert body["counters"] == {"bars": 3, "spread": None}
    assert all(list(check) == ["name", "ok", "age_seconds", "limit_seconds", "detail"] for check in body["checks"])


def test_health_is_503_and_names_what_is_wrong() -> None:
    answer = _get(SetHost(replace(WELL, bus_age_seconds=7.0)), "/health")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["degraded_reasons"] == ["message bus answered 7.0 s ago"]
    assert answer.json()["messagebus_connected"] is False


def test_a_halt_is_a_state_and_no_fault() -> None:
    halts = (Halt("all", "", "drill", "ann"), Halt("symbol", "A.X", "odd", "bob"))
    body = _get(SetHost(replace(WELL, halts=halts)), "/health").json()
    assert (body["status"], body["halted"], body["halt_reason"]) == ("healthy", True, "drill")
    only_symbol = _get(SetHost(replace(WELL, halts=halts[1:])), "/health").json()
    assert (only_symbol["halted"], only_symbol["halt_reason"]) == (False, None)


def test_live_and_ready() -> None:
    assert _get(SetHost(WELL), "/health/live").status_code == 200
    assert _get(SetHost(replace(WELL, loop_tick_age_seconds=6.0)), "/health/live").status_code == 503
    assert _get(SetHost(WELL), "/health/ready").json() == {
        "ready": True, "lag_events": 0, "lag_seconds": 0.0, "waiting_for": [],
    }  # fmt: skip
    lagging = _get(SetHost(replace(WELL, lag_entries=5, lag_seconds=6.0)), "/health/ready")
    assert lagging.status_code == 503
    assert lagging.json()["waiting_for"] == ["engine lags 6.0 s behind its inputs"]


def test_status_adds_inputs_journal_snapshot_tasks_clock_and_settings() -> None:
    body = _get(SetHost(WELL), "/status").json()
    assert body["inputs"] == [
        {"topic": "marketdata.bar", "last_event_at": "1970-01-01T00:00:01.000000Z", "age_seconds": 2.0,
         "max_age_seconds": None, "lag_events": None, "events": 7},
    ]  # fmt: skip
    assert body["journal"] == {"entries": 12, "last_hash": "00ff"}
    assert body["snapshot"]["age_seconds"] == 1.5
    assert body["snapshot"]["ts"] == body["clock"]["now_ns"] - 1_500_000_000
    assert body["tasks"] == [{"name": "features.host", "state": "running", "progress_age_seconds": None}]
    assert (body["clock"]["type"], body["clock"]["engine_ns"]) == ("live", 42)
    assert body["settings"] == {"FEATURES_PORT": 8500}


def test_metrics_parse_as_prometheus_text_and_match_the_vitals() -> None:
    text = _get(SetHost(replace(WELL, lag_entries=4)), "/metrics").text
    samples = {
        (sample.name, sample.labels.get("topic")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["nautilus_engine_health_status", None] == 1
    assert samples["nautilus_bus_lag_events", None] == 4
    assert samples["nautilus_snapshot_age_seconds", None] == 1.5
    assert samples["nautilus_input_age_seconds", "marketdata.bar"] == 2.0
    assert samples["nautilus_events_in_total", "marketdata.bar"] == 3
    assert samples["nautilus_events_out_total", "features.calculated"] == 1
    as_json = _get(SetHost(WELL), "/metrics/json").json()
    assert as_json["nautilus_events_in_total{engine=features,topic=marketdata.bar}"] == 3


def test_requests_are_counted_by_route_and_not_by_path() -> None:
    async def use(client: Client) -> None:
        for path in ("/features/available", "/nowhere/1", "/nowhere/2"):
            await client.get(path)
        counted = (await client.get("/metrics/json")).json()
        assert counted["nautilus_http_requests_total{engine=features,method=GET,route=unknown,status=404}"] == 2
        found = [name for name in counted if "/features/available" in name or "route=/available" in name]
        assert len([name for name in found if name.startswith("nautilus_http_requests_total")]) == 1

    _with(SetHost(WELL), use)


def test_two_hosts_may_share_a_registry() -> None:
    registry, desk = CollectorRegistry(), RiskDesk().desk
    _app(SetHost(WELL), desk, OPEN, registry)
    HostMetrics(registry, "paper").dead_letter(2)
    families = {family.name: family for family in registry.collect()}
    assert {sample.labels["engine"] for sample in families["nautilus_dead_letters"].samples} == {"features", "paper"}


def test_control_requests_reach_the_host_with_actor_and_reason() -> None:
    host = SetHost(WELL)

    async def use(client: Client) -> None:
        for what in ("pause", "snapshot", "resume"):
            answer = await client.post(f"/control/{what}", json={"reason": "drill"})
            assert answer.status_code == 200
            body = answer.json()
            assert (body["engine"], body["actor"], body["event_id"]) == ("features", "local", "p:1")
            assert body["at"] == "1970-01-01T00:00:01.000000Z"
        assert (await client.post("/control/pause", json={"resaon": "x"})).status_code == 422

    _with(host, use)
    assert host.asked == [("pause", "local", "drill"), ("snapshot", "local", "drill"), ("resume", "local", "drill")]


def test_halt_answers_after_risk_has_carried_it_out_and_resume_lifts_it() -> None:
    async def use(client: Client) -> None:
        answer = await client.post("/control/halt", json={"reason": "drill", "scope": "SYMBOL", "target": "A.X"})
        assert answer.status_code == 200
        assert answer.json()["event_id"] == "surface-1:0"
        lifted = await client.post("/control/resume", json={"scope": "symbol", "target": "A.X", "confirm": True})
        assert lifted.status_code == 200

    risk = _with(SetHost(WELL), use)
    assert risk.commands == [
        HaltTrading(42, "symbol", "A.X", "drill", "local", True, False),
        ResumeTrading(42, "symbol", "A.X", "", "local"),
    ]
    assert risk.halts.in_force() == ()


def test_a_halt_needs_a_target_exactly_where_the_scope_has_one() -> None:
    async def use(client: Client) -> None:
        for body in ({"scope": "symbol"}, {"scope": "all", "target": "A.X"}, {"scope": "world"}):
            assert (await client.post("/control/halt", json=body)).status_code == 422

    assert _with(SetHost(WELL), use).commands == []


def test_writes_need_a_token_and_the_name_in_it_is_the_actor() -> None:
    tokens = Tokens("s" * 40, TestClock(1_700_000_000_000_000_000))
    host = SetHost(WELL)

    async def use(client: Client) -> None:
        assert (await client.get("/status")).status_code == 200
        assert (await client.post("/control/pause", json={})).status_code == 401
        access, *_ = tokens.issue("access", Principal("ann", ("admin",), "f"))
        headers = {"Authorization": f"Bearer {access}"}
        assert (await client.post("/control/pause", json={}, headers=headers)).json()["actor"] == "ann"

    _with(host, use, Guard(tokens))
    assert host.asked == [("pause", "ann", "")]


def test_the_description_tells_of_problems_and_lists_every_path() -> None:
    document = _get(SetHost(WELL), "/openapi.json").json()
    control = {f"/control/{what}" for what in ("pause", "resume", "snapshot", "halt")}
    health = {"/health", "/health/live", "/health/ready", "/status", "/metrics", "/metrics/json"}
    assert control | health | {"/features/available"} == document["paths"].keys()
    answers = document["paths"]["/control/halt"]["post"]["responses"]
    assert set(answers) == {"200", "4XX", "5XX"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
