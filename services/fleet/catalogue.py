"""Writes ``docs/topics.md``: ``python -m services.fleet.catalogue``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from libs.clock import TestClock
from libs.contracts.catalogue import topics_page
from libs.contracts.topics import REGISTRY
from libs.engine.engine import Outbox
from services.fleet.members import engine_components

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "topics.md"

#: Topics no engine decides anything on: people, the websocket, metrics and the command line see them.
TAIL_ONLY: Final = frozenset(
    {
        "analytics.results",
        "factors.panel",
        "margin.alert",
        "margin.status",
        "marketdata.feed.status",
        "ml.training_updates",
        "orders.accepted",
        "orders.denied",
        "orders.unknown",
        "portfolio.cash",
        "portfolio.position.updated",
        "risk.analytics.computed",
        "risk.breach.detected",
        "risk.breach.resolved",
        "risk.exposure",
        "risk.limits.updated",
        "strategy.log",
        "strategy.signal",
        "strategy.state",
        "system.dead_letter",
        "system.engine",
        "system.heartbeat",
        "system.job",
        "volatility.forecast",
    }
)

_INTRODUCTION = """
Every topic of the fleet, from the registry in `libs/contracts/topics.py`; `make docs` writes this page anew and a test
fails when it is stale.

A topic carries one type of event. Topics of one family and priority share a stream, in the order of publication.
Every event begins with `ts_event`, integer UNIX nanoseconds in the fleet's time: when it happened. New fields are
appended and have defaults. *Readers* are the sequenced ones, whose every effect happens exactly once; the websocket
engine tails whatever is not an inbox, and every process watches halts and heartbeats.
"""


def readers() -> dict[str, list[str]]:
    """Sequenced readers by topic name, in the order the fleet starts them, from their routing tables."""
    found: dict[str, list[str]] = {}
    for component in engine_components():
        engine = component.make_engine(TestClock(0), Outbox())
        for route in engine.routes():
            found.setdefault(route.topic.name, []).append(component.name)
    return found


def page() -> str:
    """The page as it should be."""
    return topics_page(REGISTRY, readers(), _INTRODUCTION)


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


if __name__ == "__main__":
    main()
