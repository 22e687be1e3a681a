"""Which modules must be deterministic: state machines with their pure concepts, and every library they load."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from libs.contracts.fleet import ENGINES

ROOT: Final = Path(__file__).resolve().parents[3]
#: Modules of an engine that may touch the world or the event loop.
EDGE: Final = frozenset({"__main__.py", "api.py", "metrics.py", "settings.py"})
#: The websocket tails; it owns no state machine.
STATE_MACHINES: Final = tuple(name for name in ENGINES if name != "websocket")
#: Where handlers are called, which is as much a part of a batch as they are.
CORE: Final = "libs/engine/core.py"
#: Libraries of hosts and of the HTTP edge. Handler modules borrow a type or a parser from them, nothing that runs while
#: an event is handled. The version of the code is read from files once, at import.
HOST_SIDE: Final = frozenset(
    {
        "libs/clock/live.py",
        "libs/engine/metrics.py",
        "libs/engine/problems.py",
        "libs/engine/settings.py",
        "libs/version.py",
    }
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def handler_modules() -> tuple[Path, ...]:
    """Modules of ``services/<engine>`` without adapters, HTTP, metrics, settings and composition."""
    found = []
    for name in STATE_MACHINES:
        folder = ROOT / "services" / name
        for path in sorted(folder.rglob("*.py")):
            inside = path.relative_to(folder)
            if inside.parts[0] != "adapters" and path.name not in EDGE:
                found.append(path)
    return tuple(found)


@cache
def library_modules() -> tuple[Path, ...]:
    """Modules of ``libs`` that the core or a handler module imports, directly or through others.

    Imports for type checkers do not count, nor does the package file of the clock, which only names the live one.
    """
    waiting = [*handler_modules(), ROOT / CORE]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or relative(path) in HOST_SIDE:
            continue
        seen.add(path)
        waiting.extend(_imported(path))
    found = {path for path in seen if path.is_relative_to(ROOT / "libs")}
    return tuple(sorted(found - {ROOT / "libs/clock/__init__.py"}))


def _imported(path: Path) -> Iterator[Path]:
    for name in _import_names(ast.parse(path.read_text())):
        # ``from libs.clock import TestClock`` means the package or a module in it.
        for candidate in (ROOT / f"{name.replace('.', '/')}.py", ROOT / name.replace(".", "/") / "__init__.py"):
            if name.startswith("libs.") and candidate.is_file():
                yield candidate


def _import_names(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from _import_names(child)
