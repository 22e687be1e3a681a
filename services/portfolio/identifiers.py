"""Remembering identifiers in bounded memory, without ever counting one twice."""

from __future__ import annotations

from itertools import islice

import msgspec


class SeenIds(msgspec.Struct):
    """The newest ``capacity`` identifiers, and the time before which nothing is known any more.

    What is older than the oldest memory is neither accepted nor dropped: it is refused with an error, so that a
    repeat of a forgotten identifier becomes a dead letter a person looks at instead of a second booking. Memory is
    bounded by ``1.25 * capacity`` plus the identifiers of the newest timestamp, which are never forgotten.

    Attributes:
        ids: Identifier to its ``ts_event``, in order of arrival.
        forgotten_ts: Newest ``ts_event`` among the forgotten, -1 when nothing was.
    """

    capacity: int
    ids: dict[str, int] = {}
    forgotten_ts: int = -1

    def __contains__(self, identifier: str) -> bool:
        """Whether it is remembered."""
        return identifier in self.ids

    def check_judgeable(self, kind: str, identifier: str, ts_event: int) -> None:
        """Check that absence from the memory proves that ``identifier`` is new.

        Raises:
            ValueError: If it is so old that it may have been forgotten.
        """
        if ts_event <= self.forgotten_ts and identifier not in self.ids:
            raise ValueError(
                f"{kind} '{identifier}' must be newer than the oldest one remembered, was of {ts_event}, remembered "
                f"back to {self.forgotten_ts}; compare with the venue's record and book the difference by hand"
            )

    def add(self, identifier: str, ts_event: int) -> None:
        """Remember it."""
        self.ids[identifier] = ts_event
        # In blocks: taking single keys from the front of a dict makes every next look at the front slower.
        if len(self.ids) > self.capacity + self.capacity // 4:
            self._forget(len(self.ids) - self.capacity, ts_event)

    def _forget(self, count: int, newest_ts: int) -> None:
        for identifier, ts_event in list(islice(self.ids.items(), count)):
            if ts_event < newest_ts:
                del self.ids[identifier]
                self.forgotten_ts = max(self.forgotten_ts, ts_event)
