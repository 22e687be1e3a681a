"""The file: what is written comes back, and anything that happened to it since is told when it is opened."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.fleet.record.container import (
    END,
    ContainerReader,
    ContainerWriter,
    EntriesFrame,
    Header,
    JournalFrame,
    SnapshotFrame,
)
from services.fleet.record.errors import RecordingDamagedError, RecordingError
from services.fleet.record.recording import Recording

HEADER = Header(1, "0.1.0", "a test", ["risk"], {"RISK_X": "1"})
ENTRIES = EntriesFrame("market:normal", [("1-0", b"a" * 50), ("2-0", b"b")])
JOURNAL = JournalFrame("risk", [(7, b"j"), (8, b"k")])


def write(path: Path) -> Path:
    with ContainerWriter(path) as writer:
        writer.write(HEADER)
        writer.write(ENTRIES, "market:normal", "1-0", "2-0", 2)
        writer.write(JOURNAL, "risk", "7", "8", 2)
        writer.write(SnapshotFrame("risk", 6, b"state"), "risk", "6", "6")
        writer.finish(["a gap"])
    return path


@cache
def content() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder) / "whole").read_bytes()


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    with Recording(write(tmp_path / "r")) as found:
        assert (found.header, found.gaps) == (HEADER, ["a gap"])
        assert [(one.number, one.data) for one in found.snapshots("risk")] == [(6, b"state")]
        assert [entry.data for entry in found.entries("market:normal", "1-0", "9-0", 5)] == [b"a" * 50, b"b"]
        assert found.entries("market:normal", "3-0", "9-0", 5) == []
    assert not list(tmp_path.glob("*.part"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_cut_off_anywhere_says_so(tmp_path: Path, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(content()) - 1))
    path = tmp_path / "cut"
    path.write_bytes(content()[:length])
    with pytest.raises(RecordingDamagedError, match=r"cut off|must be a recording"):
        ContainerReader(path)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_bit_anywhere_is_told(tmp_path: Path, data: st.DataObject) -> None:
    place, bit = data.draw(st.integers(0, len(content()) - 1)), data.draw(st.integers(0, 7))
    damaged = bytearray(content())
    damaged[place] ^= 1 << bit
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    with pytest.raises(RecordingDamagedError):
        ContainerReader(path)


def test_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "newer"
    path.write_bytes(content()[:7] + b"\x02" + content()[8:])
    with pytest.raises(RecordingDamagedError, match="must have format 1, was 2"):
        ContainerReader(path)
    path.write_bytes(content() + b"more")
    with pytest.raises(RecordingDamagedError, match="cut off or damaged"):
        ContainerReader(path)
    assert content().endswith(END)


def test_an_existing_file_is_kept_and_an_unfinished_one_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "r")
    with pytest.raises(RecordingError, match="must be a new file"):
        ContainerWriter(path)
    with ContainerWriter(tmp_path / "s") as writer:
        writer.write(HEADER)  # and then whatever recorded it gave up
    assert [one.name for one in tmp_path.iterdir()] == ["r"]
