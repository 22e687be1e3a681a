"""Every topic is published by the engine that the registry names, and read by somebody or declared as tailed only."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from libs.contracts.fleet import PAPER_VENUE, READERS
from libs.contracts.topics import REGISTRY
from libs.messagebus.topic import Topic
from services.fleet.catalogue import TAIL_ONLY, readers

ROOT = Path(__file__).resolve().parents[2]
TOPICS = list(REGISTRY.by_name.values())


def name_of(topic: Topic[Any]) -> str:
    return topic.name


@cache
def built_under(folder: str) -> frozenset[str]:
    """Names of everything called in the modules under ``folder``."""
    found = set()
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found.add(ast.unparse(node.func).rpartition(".")[2])
    return frozenset(found)


def folders_of(producer: str) -> tuple[str, ...]:
    """Where a producer's code lies; ``*`` is any service, host or worker, or a function beside the contract."""
    if producer == "*":
        return ("services", "libs/engine", "libs/messagebus/workers", "libs/contracts")
    return ("services/strategy/paper",) if producer == PAPER_VENUE else (f"services/{producer}",)


@pytest.mark.parametrize("topic", TOPICS, ids=name_of)
def test_the_producer_exists_and_builds_the_event(topic: Topic[Any]) -> None:
    assert topic.producer == "*" or topic.producer in READERS, f"'{topic.producer}' is no engine"
    folders = folders_of(topic.producer)
    assert any(topic.event.__name__ in built_under(folder) for folder in folders), (
        f"nothing in {', '.join(folders)} builds {topic.event.__name__}; publish it, or drop the topic"
    )


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic.producer != "*"], ids=name_of)
def test_no_other_engine_builds_the_event(topic: Topic[Any]) -> None:
    own = folders_of(topic.producer)
    others = {f"services/{name}" for name in READERS if name != PAPER_VENUE} - {
        folder.removesuffix("/paper") for folder in own
    }
    found = sorted(folder for folder in others if topic.event.__name__ in built_under(folder))
    assert not found, f"{topic.event.__name__} belongs to {topic.producer}, but {', '.join(found)} builds one"


def test_every_topic_is_read_or_declared_as_tailed_only() -> None:
    unread = {topic.name for topic in TOPICS} - set(readers())
    assert unread - TAIL_ONLY == set(), "nobody reads these: route them somewhere, or declare them in TAIL_ONLY"
    assert TAIL_ONLY - unread == set(), "these are read by an engine, or exist no longer: remove them from TAIL_ONLY"


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic.family.startswith("inbox.")], ids=name_of)
def test_a_command_is_read_by_the_engine_whose_inbox_it_is(topic: Topic[Any]) -> None:
    assert readers()[topic.name] == [topic.family.removeprefix("inbox.")]


@pytest.mark.parametrize("topic", TOPICS, ids=name_of)
def test_a_topic_says_what_it_is(topic: Topic[Any]) -> None:
    assert topic.description
    assert (topic.event.__doc__ or "").strip()
