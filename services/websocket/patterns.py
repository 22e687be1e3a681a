"""Which topics a subscription means.

A topic on the wire is its name and, where it has one, its key: ``marketdata.bar.AAPL.XNAS``. A pattern may be a name
alone (all its keys), use ``*`` for one segment or for the whole key, and end with ``**`` for the rest, however long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from libs.messagebus.topic import Topic

MAX_LENGTH: Final = 200
#: What an administrator's broadcast goes out under; no engine publishes it.
BROADCAST: Final = "system"

_WELL_FORMED = re.compile(r"[^\s.*]+|\*")
#: First segment of a topic name to the permission that reading it takes.
_PERMISSIONS: Final = {
    "marketdata": "read:market", "features": "read:market", "factors": "read:market", "ml": "read:market",
    "volatility": "read:market", "portfolio": "read:portfolio", "analytics": "read:portfolio",
    "orders": "read:portfolio", "strategy": "read:portfolio", "venue": "read:portfolio", "risk": "read:risk",
    "margin": "read:risk", "system": "read:system",
}  # fmt: skip


def full_name(name: str, key: str) -> str:
    """A topic as clients see it."""
    return f"{name}.{key}" if key else name


def permission_of(name: str) -> str:
    """What a client needs to read a topic; a family nobody thought of needs ``admin:all``."""
    return _PERMISSIONS.get(name.partition(".")[0], "admin:all")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One subscription's text, taken apart.

    Raises:
        ValueError: If the text is no pattern; the message says why.
    """

    text: str
    segments: tuple[str, ...]
    is_open: bool

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read a pattern."""
        if not text or len(text) > MAX_LENGTH:
            raise ValueError(f"a topic must have 1 to {MAX_LENGTH} characters, was {len(text)}")
        segments = text.split(".")
        is_open = segments[-1] == "**"
        if is_open:
            segments.pop()
        for segment in segments:
            if not _WELL_FORMED.fullmatch(segment):
                raise ValueError(f"a topic must be words, '*' or a final '**' between dots, was '{text}'")
        return cls(text, tuple(segments), is_open)

    def matches(self, name: str, key: str) -> bool:
        """Whether an event of topic ``name`` about ``key`` is meant."""
        words = name.split(".")
        if self._fits(words):
            return True
        return bool(key) and (self._fits([*words, key]) or self._fits([*words, *key.split(".")]))

    def may_match(self, topic: Topic[Any]) -> bool:
        """Whether any event of ``topic`` can be meant."""
        words = topic.name.split(".")
        if self._fits(words):
            return True
        begin = self.segments[: len(words)]
        return bool(topic.key) and len(begin) == len(words) and _equal(begin, words)

    def _fits(self, words: list[str]) -> bool:
        count = len(self.segments)
        if len(words) < count or (len(words) > count and not self.is_open):
            return False
        return _equal(self.segments, words[:count])


def _equal(segments: Iterable[str], words: Iterable[str]) -> bool:
    return all(segment in ("*", word) for segment, word in zip(segments, words, strict=True))


def patterns_of_path(path: str) -> tuple[str, ...] | None:
    """What a client that connects under ``path`` is subscribed to from the start; None if there is no such path."""
    path = path.partition("?")[0].rstrip("/")
    if path in ("/ws", "/ws/stream", "/ws/realtime"):
        return ()
    if path in ("/ws/engine/status", "/ws/system/health"):
        return ("system.**",)
    if path == "/ws/trades/updates":
        return ("orders.**",)
    if path == "/ws/messagebus":
        return ("**",)
    symbol = path.removeprefix("/ws/market-data/")
    if symbol != path and symbol and "/" not in symbol:
        return tuple(f"marketdata.{kind}.{symbol}" for kind in ("quote", "tick", "bar", "close", "instrument"))
    return None
