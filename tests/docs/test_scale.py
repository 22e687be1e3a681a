"""The page on growing past one Redis names commands, tests and benchmarks that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libs.messagebus.redis.address import RedisAddress
from services.fleet.bridging import topics_named
from services.fleet.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text()


def test_the_command_of_the_page_is_understood() -> None:
    (command,) = re.findall(r"```\n(nautilus mirror .*?)```", PAGE, flags=re.DOTALL)
    words = shlex.split(command.replace("\\\n", " "))
    assert topics_named(words[words.index("--topics") + 1])
    shown = CliRunner().invoke(app, ["mirror", "--help"], terminal_width=200).output
    for option in re.findall(r"(?<![-|])--[a-z][a-z-]+", PAGE):
        assert option in shown, option


@pytest.mark.parametrize("url", re.findall(r"`(redis\S+://\S+?)`", PAGE))
def test_the_urls_of_the_page_are_urls(url: str) -> None:
    if "..." not in url:
        RedisAddress.parse(url)


def test_what_the_page_points_to_exists() -> None:
    paths = re.findall(r"`((?:tests|libs|benchmarks)/\S+?)`", PAGE)
    assert len(paths) >= 2
    for path in paths:
        assert (ROOT / path).exists(), path
    assert (ROOT / "benchmarks" / "mirror.py").exists()
