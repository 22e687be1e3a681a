"""What an event was computed from besides the event that triggered it.

The direct cause of an order is the ``StepClosed`` at which its strategy decided, which says nothing: what matters is
the price, the features and the valuation that were stored when they came. An engine keeps the ids of what it stores
(:attr:`Outbox.event_id`) and names them when it publishes (:meth:`Outbox.publish_because`); they travel in the record
batch beside the event, never inside it, so contracts and the order tape do not change.

An event published in the same batch has no id yet. Until the batch is encoded its id is a placeholder, ``#<index>``;
then the real one is written into whatever the engine keeps of it, and into the references that name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

_PLACEHOLDER = "#"


class Named(Protocol):
    """Part of an engine's state that remembers the id of an event the engine published."""

    event_id: str


@dataclass(slots=True)
class References:
    """The references of one open batch, by index into its published events.

    Attributes:
        because: Event ids and placeholders.
        named: What gets the id of an event once it has one.
    """

    because: dict[int, list[str]] = field(default_factory=dict)
    named: list[tuple[int, Named]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to resolve."""
        return bool(self.because or self.named)

    def note(self, index: int, because: Iterable[str], named: Named | None) -> None:
        """Remember the references of event ``index``; empty ids (nothing known) are left out."""
        found = list(dict.fromkeys(event_id for event_id in because if event_id))
        if found:
            self.because[index] = found
        if named is not None:
            named.event_id = f"{_PLACEHOLDER}{index}"
            self.named.append((index, named))

    def shorten(self, count: int) -> None:
        """Forget what concerns events from ``count`` on: they were taken back."""
        self._renumber({index: index for index in range(count)})

    def keep(self, events: Sequence[Any], kept: Sequence[Any]) -> None:
        """Follow the removal of some of ``events``; ``kept`` are the same objects in the same order."""
        places: dict[int, int] = {}
        for index, event in enumerate(events):
            if len(places) < len(kept) and event is kept[len(places)]:
                places[index] = len(places)
        self._renumber(places)

    def resolve(self, ids: Sequence[str]) -> dict[int, list[str]]:
        """Write the published events' ids where they were promised; returns the references without placeholders."""
        for index, named in self.named:
            named.event_id = ids[index]
        return {
            index: [ids[int(one[1:])] if one.startswith(_PLACEHOLDER) else one for one in because]
            for index, because in self.because.items()
        }

    def _renumber(self, places: Mapping[int, int]) -> None:
        moved: dict[int, list[str]] = {}
        for index, because in self.because.items():
            if index in places:
                moved[places[index]] = [one for one in (_moved(one, places) for one in because) if one]
        self.because = moved
        for index, named in self.named:
            if index not in places:
                named.event_id = ""
        self.named = [(places[index], named) for index, named in self.named if index in places]


def _moved(event_id: str, places: Mapping[int, int]) -> str:
    if not event_id.startswith(_PLACEHOLDER):
        return event_id
    index = int(event_id[1:])
    return f"{_PLACEHOLDER}{places[index]}" if index in places else ""
