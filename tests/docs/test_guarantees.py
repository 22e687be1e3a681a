"""Every line of docs/guarantees.md names tests, and all of them exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
ROWS = [line for line in TEXT.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists(path: str, name: str) -> None:
    body = ast.parse((ROOT / path).read_text()).body
    assert name in {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")}


def test_every_line_is_shown_by_a_test() -> None:
    heads = {index for index, line in enumerate(ROWS) if set(line) <= set("|-")}
    lines = [line for index, line in enumerate(ROWS) if index not in heads and index + 1 not in heads]
    assert len(lines) > 20
    assert [line for line in lines if "::test_" not in line] == []


def test_no_name_escapes_the_check() -> None:
    assert TEXT.count("::test_") == len(re.findall(r"`tests/[\w/]+\.py::\w+`", TEXT))
