"""The log of the embedded fleet outlives a full disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.fleet.log_file import LogFile

FULL = Path("/dev/full")  # every write to it fails with "no space left on device"


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for text in ("one", "two"):
        with LogFile(path) as log:
            print(text, file=log, flush=True)
    assert path.read_text() == "one\ntwo\n"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_what_a_full_disk_does_not_take_is_counted_and_still_known() -> None:
    with LogFile(FULL) as log:
        print(json.dumps({"level": "critical", "error": "task 'a' died"}), file=log, flush=True)
        print("no JSON", file=log, flush=True)
        assert log.lost == 2
        assert log.last_failure() == "task 'a' died"


def test_the_next_line_that_is_written_says_how_many_were_not(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with LogFile(path) as log:
        log.lost = 3
        print("four", file=log)
        print("five", file=log)
    lost, *rest = path.read_text().splitlines()
    assert json.loads(lost) == {"event": "log_lines_lost", "level": "warning", "count": 3}
    assert rest == ["four", "five"]


def test_the_newest_critical_line_explains_a_failure(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log") as log:
        assert log.last_failure() == ""
        for error in ("first", "second"):
            print(json.dumps({"level": "critical", "error": error}), file=log)
        print(json.dumps({"level": "info", "event": "stopped"}), file=log)
        assert log.last_failure() == "second"
