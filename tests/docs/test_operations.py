"""The operator's page says what is so: every sentence it explains is one that the code says, every setting exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libs.engine.settings import BusSettings, ProcessSettings
from services.fleet.cli import app as cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
TABLE = PAGE[PAGE.index("## When a start is refused") :]


def flat(text: str) -> str:
    """Source without the seams between the parts of a string, and without placeholders."""
    joined = re.sub(r'"\s*\n\s*f?"', "", text)
    return re.sub(r"\s+", " ", joined)


CODE = flat(
    "\n".join(path.read_text() for part in ("libs", "services") for path in sorted((ROOT / part).rglob("*.py")))
)
SENTENCES = [
    sentence
    for row in re.findall(r"^\| (.+?) \| ", TABLE, re.MULTILINE)
    for sentence in re.findall(r"`([^`]+)`", row)
]  # fmt: skip


def test_the_table_is_read() -> None:
    assert len(SENTENCES) > 20


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_it_explains_is_one_the_code_says(sentence: str) -> None:
    assert sentence in CODE


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"\b(?:NAUTILUS|BUS)_[A-Z_]+", PAGE))))
def test_its_settings_exist(variable: str) -> None:
    prefix, _, field = variable.partition("_")
    assert field.lower() in {"NAUTILUS": ProcessSettings, "BUS": BusSettings}[prefix].model_fields


def test_its_defaults_are_the_codes() -> None:
    assert "`NAUTILUS_SNAPSHOT_SECONDS` (10)" in PAGE
    assert "(250,000; 0 = never)" in PAGE
    fields = ProcessSettings.model_fields
    assert (fields["snapshot_seconds"].default, fields["snapshot_events"].default) == (10.0, 250_000)


def test_its_commands_exist() -> None:
    known = {command.callback.__name__ for command in cli.registered_commands if command.callback}
    assert set(re.findall(r"nautilus ([a-z]+)\b", PAGE)) <= known


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:docs|libs|tests|services)/[\w./-]+)`", PAGE))))
def test_its_files_exist(path: str) -> None:
    assert (ROOT / path).exists()
