"""The log of the embedded fleet: a file whose full disk does not end the fleet."""

from __future__ import annotations

import io
import json
from collections import deque
from pathlib import Path

#: Lines kept in memory, to say at the end what went wrong even where the disk could not take it.
_KEPT = 50


class LogFile(io.TextIOBase):
    """Appends lines; one that cannot be written is dropped, and the next that can says how many were.

    The bus waits for a full disk to be freed and goes on, and so must whoever writes about it: an exception here would
    reach whatever task has logged and end the process.

    Args:
        path: The file; created if missing.

    Attributes:
        lost: Lines that could not be written and were not told of yet.

    Raises:
        OSError: On construction, if the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = 0
        self._begun = ""
        self._recent: deque[str] = deque(maxlen=_KEPT)
        self._file = path.open("ab", buffering=0)

    def write(self, text: str) -> int:
        """Append text; it reaches the file line by line."""
        self._begun += text
        *lines, self._begun = self._begun.split("\n")
        for line in lines:
            self._recent.append(line)
            self._append(line)
        return len(text)

    def _append(self, line: str) -> None:
        notice = json.dumps({"event": "log_lines_lost", "level": "warning", "count": self.lost}) + "\n"
        data = f"{notice if self.lost else ''}{line}\n".encode(errors="replace")
        try:
            written = self._file.write(data)
        except OSError:
            written = 0
        self.lost = 0 if written == len(data) else self.lost + 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def last_failure(self) -> str:
        """What the newest critical line says, empty if there is none."""
        for line in reversed(self._recent):
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict) and said.get("level") == "critical":
                return str(said.get("error", said.get("event")))
        return ""
