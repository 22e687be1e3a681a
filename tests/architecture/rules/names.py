"""What a name in a source file stands for, followed through its imports."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

_BUILTINS: Final = frozenset(dir(builtins))


@cache
def nodes_of(source: str) -> tuple[ast.AST, ...]:
    """Every node of a file, outer ones before inner ones; the first is the module. Kept, because each rule asks."""
    return tuple(ast.walk(ast.parse(source)))


@dataclass(frozen=True, slots=True)
class Violation:
    """One offence: which rule, where, and in words."""

    rule: str
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.text}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of something imported or built in.

    Attributes:
        name: What it stands for: ``time.time`` wherever ``from time import time as now`` made it ``now``.
        call: The call of which it is the function, if any.
        line: Where.
    """

    name: str
    call: ast.Call | None
    line: int


def references(nodes: Sequence[ast.AST]) -> Iterator[Reference]:
    """Every use of an imported or built-in name, with its attributes: ``datetime.now`` once, not ``datetime`` too."""
    bound = _imports(nodes)
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    inner: set[ast.AST] = set()
    called = {node.func: node for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:  # the longest chain of attributes comes before its parts
        if node in inner or not isinstance(node, ast.Name | ast.Attribute):
            continue
        parts: list[str] = []
        root: ast.AST = node
        while isinstance(root, ast.Attribute):
            parts.append(root.attr)
            root = root.value
            inner.add(root)
        if not isinstance(root, ast.Name) or isinstance(root.ctx, ast.Store):
            continue
        if root.id in bound:
            base = bound[root.id]
        elif root.id in _BUILTINS and root.id not in own:
            base = root.id
        else:
            continue
        yield Reference(".".join([base, *reversed(parts)]), called.get(node), node.lineno)


def imported(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, int]]:
    """Names of what is imported, at whatever depth: modules, and members of modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _imports(nodes: Sequence[ast.AST]) -> dict[str, str]:
    bound: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                bound[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return bound
