"""The other end of `nautilus_child.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.libs.clock.script import Reactions, Step

ROOT = Path(__file__).parents[3]
Job = tuple[list[Step], Reactions]


class Nautilus:
    """NautilusTrader's clocks, in a child process."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self._read()  # "ready"

    def play(self, mode: str, jobs: Iterable[Job]) -> list[str]:
        """Return the transcripts of scripts on the test clock, driven in the mode "step" or "collect"."""
        return self._ask({"mode": mode, "jobs": list(jobs)})

    def play_live(self, jobs: Iterable[Job], unit_ns: int) -> list[str]:
        """Return the transcripts of scripts on the live clock, all at the same time."""
        return self._ask({"mode": "live", "jobs": list(jobs), "unit_ns": unit_ns})

    def _ask(self, request: dict[str, object]) -> list[str]:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        return self._read()

    def _read(self) -> list[str]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, f"nautilus_trader's process must answer, was ended with {self._child.wait()}"
        answer: list[str] = json.loads(line)
        return answer


@contextmanager
def nautilus_process() -> Iterator[Nautilus]:
    command = [sys.executable, "-m", "tests.libs.clock.nautilus_child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        yield Nautilus(child)
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(timeout=10) == 0
