"""Rules of the house that a program can check; a rule no program checks is advice."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.contracts.fleet import ENGINES

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 300
MAX_FUNCTION_LINES = 60
WALL_CLOCK = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.date.today",
}  # fmt: skip
#: The live clock itself, and the set-up script that runs before anything is installed.
WALL_CLOCK_ALLOWED = {"libs/clock/live.py", "scripts/bootstrap.py"}
ROOMS = ("__init__.py", "__main__.py", "engine.py", "api.py", "settings.py", "metrics.py", "README.md")
#: Websocket and gateway own no state machine: they tail.
ROOMS_WITHOUT_ENGINE = tuple(room for room in ROOMS if room != "engine.py")
HEAVY = {
    "torch",
    "QuantLib",
    "vectorbt",
    "skfolio",
    "arch",
    "pandas",
    "polars",
    "arcticdb",
    "nautilus_trader",
    "sklearn",
}


def sources(*roots: str) -> list[Path]:
    return sorted(path for root in roots for path in (ROOT / root).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def imports(tree: ast.AST, top_level_only: bool = False) -> Iterator[tuple[str, int]]:
    nodes = ast.iter_child_nodes(tree) if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


@pytest.mark.parametrize("path", sources("libs", "services", "tests", "benchmarks", "scripts"), ids=relative)
def test_a_file_is_one_concept(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f"{relative(path)} has {lines} lines; split it by concept"


@pytest.mark.parametrize("path", sources("libs", "services"), ids=relative)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{relative(path)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", sources("libs", "services", "scripts"), ids=relative)
def test_only_the_live_clock_reads_the_wall_clock(path: Path) -> None:
    if relative(path) in WALL_CLOCK_ALLOWED:
        return
    found = [
        f"{relative(path)}:{line} {name}" for name, line in calls(ast.parse(path.read_text())) if name in WALL_CLOCK
    ]
    assert not found, f"{found}: read the injected clock, or libs.clock.live.monotonic_ns for durations"


@pytest.mark.parametrize("engine", [*ENGINES, "gateway"])
def test_every_engine_has_the_same_rooms(engine: str) -> None:
    rooms = ROOMS_WITHOUT_ENGINE if engine in {"websocket", "gateway"} else ROOMS
    missing = [room for room in rooms if not (ROOT / "services" / engine / room).is_file()]
    assert not missing, f"services/{engine} has no {missing}"
    main = (ROOT / "services" / engine / "__main__.py").read_text().splitlines()
    assert len(main) <= 45, f"services/{engine}/__main__.py composes and nothing else, was {len(main)} lines"


@pytest.mark.parametrize("path", sources("libs", "services"), ids=relative)
def test_heavy_libraries_load_only_where_used(path: Path) -> None:
    found = [
        f"{relative(path)}:{line} {name}"
        for name, line in imports(ast.parse(path.read_text()), top_level_only=True)
        if name.split(".")[0] in HEAVY
    ]
    assert not found, f"{found}: import it inside the function that needs it"


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "websocket"])
def test_a_state_machine_imports_without_a_web_server(engine: str) -> None:
    banned = {"fastapi", "uvicorn", "redis", "aiohttp"}
    code = f"import sys, services.{engine}.engine; sys.exit(' '.join({banned} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


#: Where foreign or unforeseen code is called and must not take its caller with it.
BROAD_EXCEPT_ALLOWED = {
    "libs/engine/core.py": "the host outlives any handler; the event goes to the dead letters",
    "libs/engine/edge.py": "the edge of HTTP: a bug is answered as 500 without a trace, and logged",
    "libs/engine/problems.py": "the edge of HTTP",
    "libs/clock/live.py": "a callback's bug must neither stop its timer nor the loop",
    "libs/messagebus/workers/runner.py": "a job is foreign code: what it raises is told, tried again and outlived",
    "services/fleet/simfaults/loop.py": "a future carries whatever its work raised to who awaits it",
    "services/fleet/simfaults/verdict.py": "whatever stops a recovery is the finding",
    "services/strategy/runner.py": "a strategy is foreign code: one that raises must not stop the others",
}


def test_no_broad_except_unless_it_raises_again() -> None:
    found = []
    for path in sources("libs", "services"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ExceptHandler) or relative(path) in BROAD_EXCEPT_ALLOWED:
                continue
            caught = ast.unparse(node.type) if node.type else "everything"
            cleans_up = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if caught in {"Exception", "BaseException", "everything"} and not cleans_up:
                found.append(f"{relative(path)}:{node.lineno}")
    assert not found, f"{found}: catch what you can handle"
