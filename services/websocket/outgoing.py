"""What waits for one client: lossless messages in order, conflated ones as their newest value only.

Memory is bounded whatever the client does, and the bound is the client's alone: nobody else waits for it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

#: Bytes handed to the socket in one write; several messages of a tick leave together.
WRITE_BYTES: Final = 64 * 1024


class QueueFull(Exception):
    """A client reads too slowly for what must not be dropped."""


class Outgoing:
    """An ordered queue in which a conflated message replaces the one before it of the same key.

    Args:
        max_messages: Lossless messages that may wait.
        max_bytes: Bytes that may wait, of both kinds.

    Attributes:
        bytes: Waiting now.
        lossless: Messages waiting now that may not be dropped.
        conflated: Messages replaced by newer ones so far.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self.bytes = 0
        self.lossless = 0
        self.conflated = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._serial = 0
        self._waiting: dict[Hashable, bytes] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether one more lossless message would be too many."""
        return self.lossless >= self._max_messages or self.bytes >= self._max_bytes

    def put(self, frame: bytes, key: str = "") -> None:
        """Add a message; with a ``key`` it replaces the waiting one of that key.

        Raises:
            QueueFull: If there is no room; nothing was added.
        """
        replaced = self._waiting.pop(key, None) if key else None
        if replaced is not None:
            self.bytes -= len(replaced)
            self.conflated += 1
        if self.bytes + len(frame) > self._max_bytes or (not key and self.lossless >= self._max_messages):
            raise QueueFull(f"{self.lossless} messages and {self.bytes} bytes wait")
        if key:
            self._waiting[key] = frame
        else:
            self._serial += 1
            self.lossless += 1
            self._waiting[self._serial] = frame
        self.bytes += len(frame)

    def take(self, size: int = WRITE_BYTES) -> tuple[bytes, int]:
        """The oldest messages, about ``size`` bytes of them but at least one, joined, and how many they are."""
        taken: list[bytes] = []
        total = 0
        for key in list(self._waiting) if self.bytes <= size else self._first_keys(size):
            frame = self._waiting.pop(key)
            total += len(frame)
            self.lossless -= isinstance(key, int)
            taken.append(frame)
        self.bytes -= total
        return b"".join(taken), len(taken)

    def _first_keys(self, size: int) -> list[Hashable]:
        keys: list[Hashable] = []
        total = 0
        for key, frame in self._waiting.items():
            if keys and total + len(frame) > size:
                break
            keys.append(key)
            total += len(frame)
        return keys
