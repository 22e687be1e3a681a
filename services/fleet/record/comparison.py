"""Two versions of one published event side by side, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.contracts.topics import REGISTRY
from libs.engine.divergence import Difference, Published
from services.fleet.record.state_view import readable

_WIDTH = 48
_NOTHING = "(not published)"


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where today's code first publishes something else than was recorded.

    Attributes:
        commit: Number of the commit.
        index: Place of the event among the commit's outputs, from 0; -1 where they could not be compared singly.
        recorded_outputs, found_outputs: Events each run published in the commit.
        cause: The event on which it was published, as text.
        recorded, found: The event with its envelope as plain data, None for nothing.
        fields: Dotted names of what differs.
        remark: What else has to be known.
    """

    commit: int
    index: int
    recorded_outputs: int
    found_outputs: int
    cause: str
    recorded: dict[str, Any] | None
    found: dict[str, Any] | None
    fields: list[str]
    remark: str = ""

    def as_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {name: getattr(self, name) for name in self.__slots__}


def compared(commit: int, outputs: tuple[int, int], cause: str, difference: Difference) -> Divergence:
    """The divergence that ``difference`` is; ``outputs``: events recorded and found in the commit."""
    recorded, found = shown(difference.recorded), shown(difference.replayed)
    left, right = _flat(recorded), _flat(found)
    fields = [name for name in _names(left, right) if left.get(name) != right.get(name)]
    remark = "" if fields else f"{difference.recorded!r} against {difference.replayed!r}"
    return Divergence(commit, difference.index, *outputs, cause, recorded, found, fields, remark)


def shown(published: Published | None) -> dict[str, Any] | None:
    """A published event with its envelope as plain data."""
    if published is None:
        return None
    event = published.event
    return {
        "event_id": published.event_id,
        "topic": REGISTRY.topic_of(event).name if event is not None else None,
        "stream": published.stream,
        "causation_id": published.cause or None,
        "correlation_id": published.correlation,
        "ts_publish": published.ts_publish,
        "references": list(published.references),
        "event": readable(event),
    }


def side_by_side(divergence: Divergence) -> list[str]:
    """Lines of a table: ``*`` marks what differs."""
    left, right = _flat(divergence.recorded), _flat(divergence.found)
    names = _names(left, right)
    if not names:
        return []
    head = max(len(name) for name in names)
    lines = [f"  {'':{head}}  {'recorded':{_WIDTH}}  today"]
    for name in names:
        before, now = left.get(name, _NOTHING), right.get(name, _NOTHING)
        mark = "*" if name in divergence.fields else " "
        for row, (one, other) in enumerate(zip(*_even(_cut(before), _cut(now)), strict=True)):
            lines.append(
                f"{mark if not row else ' '} {name if not row else '':{head}}  {one:{_WIDTH}}  {other}".rstrip()
            )
    return lines


def _flat(value: Mapping[str, Any] | None, above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, item in (value or {}).items():
        if isinstance(item, Mapping) and item:
            found |= _flat(item, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = json.dumps(item, ensure_ascii=False)
    return found


def _names(left: Mapping[str, str], right: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys([*left, *right]))


def _cut(text: str) -> list[str]:
    return [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]


def _even(left: list[str], right: list[str]) -> tuple[list[str], list[str]]:
    rows = max(len(left), len(right))
    return left + [""] * (rows - len(left)), right + [""] * (rows - len(right))
