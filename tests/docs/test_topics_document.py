"""``docs/topics.md`` is what the registry, the event types and the routing tables say today."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

import msgspec
import pytest

from libs.contracts.catalogue import Parts, topics_page, type_name
from libs.contracts.market import BarClosed
from libs.contracts.topics import REGISTRY
from libs.messagebus.priority import Priority
from libs.messagebus.topic import Event, Topic, TopicRegistry
from services.fleet.catalogue import PAGE, page


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/topics.md is stale; run: make docs"


def test_every_link_leads_to_a_heading() -> None:
    text = page()
    headings = {
        re.sub(r"[^a-z0-9_\- ]", "", one.lower()).replace(" ", "-") for one in re.findall(r"^#+ (.*)$", text, re.M)
    }
    links = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert len(links) >= len(REGISTRY.by_name)
    assert links <= headings


class Leg(msgspec.Struct, frozen=True):
    """One side of a spread."""

    symbol: str
    ratio: Decimal = Decimal(1)


class SpreadQuoted(Event, tag="test.spread.v1"):
    """A spread has a price.

    Attributes:
        legs: What it is made of,
            in order.
        bid, ask: In the currency of the first leg.

    Nobody trades on it.
    """

    legs: list[Leg]
    bid: float | None
    ask: float | None = None
    kind: Literal["calendar", "pair"] = "pair"
    sizes: dict[str, int] = {}


SPREAD = Topic(
    "test.spread", SpreadQuoted, "test", "test", Priority.HIGH, "kind", 500, conflate=True, description="spread prices"
)

EXPECTED = """\
# Topics

About.

1 topics.

| topic | event | priority | key | producer | readers |
|---|---|---|---|---|---|
| [test.spread](#testspread) | SpreadQuoted | high | kind | test | alpha, beta |

## test

### test.spread

Spread prices. Stream `test:high`; event `SpreadQuoted`, tag `test.spread.v1`; published by test; read by alpha, beta; \
at least 500 entries kept; a slow subscriber may get only the newest per kind.

A spread has a price.

Nobody trades on it.

| field | type | default | meaning |
|---|---|---|---|
| `legs` | list of [Leg](#leg) |  | What it is made of, in order. |
| `bid` | float or null |  | In the currency of the first leg. |
| `ask` | float or null | null | In the currency of the first leg. |
| `kind` | `calendar` or `pair` | `pair` |  |
| `sizes` | map of text to integer | empty |  |

## Parts of events

### Leg

One side of a spread.

| field | type | default | meaning |
|---|---|---|---|
| `symbol` | text |  |  |
| `ratio` | decimal | `1` |  |
"""


def test_a_page_says_everything_about_a_topic() -> None:
    assert topics_page(TopicRegistry.of([SPREAD]), {"test.spread": ["alpha", "beta"]}, "About.\n") == EXPECTED


def test_an_event_inside_an_event_links_to_its_own_topic() -> None:
    parts = Parts(REGISTRY)
    assert type_name(list[BarClosed], parts) == "list of [BarClosed](#marketdatabar)"
    assert parts.found == {}


def test_a_type_without_words_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must have words in the catalogue, was <class 'complex'>"):
        type_name(complex, Parts(REGISTRY))
