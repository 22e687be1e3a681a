"""The README says what is so: its commands exist, its ports and paths are the code's, and it stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from libs.clock import TestClock
from libs.contracts.fleet import ENGINES, PORTS
from libs.engine.engine import Outbox
from services.fleet.cli import app as cli
from services.fleet.members import engine_components

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_it_is_short() -> None:
    assert len(re.findall(r"\w+", re.sub(r"\|.*\|", "", README))) < 900


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE)) | {"help", "check", "bench"})
)
def test_its_make_targets_exist(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)
    assert len(makefile.splitlines()) <= 60


def test_ci_runs_its_test_command() -> None:
    assert re.search(r"^make test\b", README, re.MULTILINE)
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_its_table_of_engines_is_the_fleet() -> None:
    rows = dict(re.findall(r"^\| ([a-z]+) \| (\d+) \|", README, re.MULTILINE))
    assert {name: int(port) for name, port in rows.items()} == PORTS
    assert set(rows) == {*ENGINES, "gateway"}


def test_its_commands_are_the_command_lines() -> None:
    known = {command.callback.__name__ for command in cli.registered_commands if command.callback}
    assert set(re.findall(r"nautilus ([a-z]+) --", README)) <= known


def test_its_curl_lines_name_paths_that_exist() -> None:
    by_port: dict[int, set[str]] = {}
    for component in engine_components():
        if component.port is not None and component.router is not None:
            surface = FastAPI()
            surface.include_router(component.router(component.make_engine(TestClock(), Outbox()), None))  # type: ignore[arg-type]
            by_port[component.port] = set(surface.openapi()["paths"])
    lines = re.findall(r"^curl -s localhost:(\d+)(/\S+)", README, re.MULTILINE)
    assert lines
    for port, path in lines:
        if path in {"/health", "/status", "/metrics"}:
            assert int(port) in PORTS.values()
            continue
        shapes = [re.sub(r"\{[^}]+\}", "[^/]+", shape) for shape in by_port[int(port)]]
        assert any(re.fullmatch(shape, path) for shape in shapes), f"{port}{path} is served by nobody"
