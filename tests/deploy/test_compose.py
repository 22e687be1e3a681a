"""The compose file says what the code does: commands, ports, environment, health, and no default secret."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.contracts.fleet import ENGINES, PORTS
from libs.engine.setting_mistakes import CLASSES, variable_name
from libs.engine.settings import ProcessSettings, Settings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "compose" / "compose.yaml"
SECRETS = {"REDIS_PASSWORD": "a-secret", "NAUTILUS_JWT_SECRET": "b" * 40, "GRAFANA_ADMIN_PASSWORD": "c-secret"}
MEMBERS = [*ENGINES, "gateway"]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


def test_the_whole_fleet_is_there(services: dict[str, Any]) -> None:
    assert set(services) == {*MEMBERS, "redis", "prometheus", "grafana"}


@pytest.mark.parametrize("engine", MEMBERS)
def test_ports_match_the_code(services: dict[str, Any], engine: str) -> None:
    service = services[engine]
    port = PORTS[engine]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert service["build"]["args"] == {"ENGINE": engine, "PORT": str(port)}
    assert service["environment"][f"{engine.upper()}_HOST"] == "0.0.0.0"


@pytest.mark.parametrize("engine", MEMBERS)
def test_every_variable_is_a_setting_of_the_code(services: dict[str, Any], engine: str) -> None:
    import_module(f"services.{engine}.settings")
    known = {variable_name(kind, field) for kind in [*CLASSES, ProcessSettings] for field in kind.model_fields}
    given = set(services[engine]["environment"])
    assert given <= known, f"{sorted(given - known)} are read by nobody"
    assert issubclass(ProcessSettings, Settings)


def test_start_order_is_by_health(services: dict[str, Any]) -> None:
    for engine in MEMBERS:
        waits = services[engine]["depends_on"]
        assert waits["redis"] == {"condition": "service_healthy"}
        assert all(condition == {"condition": "service_healthy"} for condition in waits.values())
    assert set(services["marketdata"]["depends_on"]) == {*ENGINES, "redis"} - {"marketdata", "websocket"}
    assert "healthcheck" in services["redis"]


def test_the_image_runs_the_module_as_nobody_special() -> None:
    dockerfile = (ROOT / "deploy" / "compose" / "Dockerfile").read_text()
    assert re.search(r"^USER nautilus$", dockerfile, re.MULTILINE)
    assert "exec python -m services.${ENGINE}" in dockerfile
    assert "HEALTHCHECK" in dockerfile
    assert all((ROOT / "services" / engine / "__main__.py").is_file() for engine in MEMBERS)


def test_no_secret_has_a_default() -> None:
    text = FILE.read_text()
    for name in SECRETS:
        uses = re.findall(rf"\$\{{{name}([^}}]*)\}}", text)
        assert uses, f"{name} is not used"
        assert all(use.startswith(":?") for use in uses), f"{name} must be required with :?"


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_docker_compose_accepts_it() -> None:
    command = ["docker-compose", "-f", str(FILE), "config"]
    done = subprocess.run(command, env={**os.environ, **SECRETS}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == {*MEMBERS, "redis", "prometheus", "grafana"}
    without = subprocess.run(
        command, env={key: value for key, value in os.environ.items() if key not in SECRETS},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert without.returncode != 0, "it must not start without its secrets"
    assert "deploy/compose/.env" in without.stderr


def test_prometheus_scrapes_every_member() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    assert sorted(targets) == sorted(f"{engine}:{PORTS[engine]}" for engine in MEMBERS)


def test_the_dashboard_is_provisioned_and_points_at_the_data_source() -> None:
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text())
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/fleet.json").read_text())
    uid = source["datasources"][0]["uid"]
    assert all(panel["datasource"]["uid"] == uid for panel in dashboard["panels"])
