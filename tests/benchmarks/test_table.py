"""The statistics and verdicts every benchmark relies on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.table import Options, Summary, Table, alternate, number, options, percentile, summarise


@given(samples=st.lists(st.integers(0, 10**9), min_size=1, max_size=300), percent=st.integers(1, 100))
def test_percentile_is_the_nearest_rank(samples: list[int], percent: int) -> None:
    ordered = sorted(samples)
    assert percentile(ordered, percent / 100) == np.percentile(ordered, percent, method="inverted_cdf")


def test_summary() -> None:
    assert summarise(list(range(1, 101)), 0.5) == Summary(25.25, 100, 25.0, 49.5)
    with pytest.raises(ValueError, match="samples must not be empty"):
        summarise([])


@pytest.mark.parametrize(
    ("better", "value", "peer", "bar", "ratio", "holds"),
    [
        ("lower", 2.0, 4.0, 2.0, 2.0, True),
        ("lower", 4.0, 2.0, 3.0, 0.5, False),
        ("higher", 4.0, 2.0, 4.0, 2.0, True),
        ("higher", 2.0, 4.0, 3.0, 0.5, False),
        ("lower", 2.0, None, None, None, None),
        ("lower", 0.0, 1.0, 1.0, None, True),
    ],
)
def test_ratio_and_bar(better, value, peer, bar, ratio, holds) -> None:
    row = Table("t").add("x", Summary(value, 1), "us", peer=peer, bar=bar, better=better)
    assert (row.ratio, row.holds) == (ratio, holds)


def test_alternate_takes_turns_and_drops_the_first_round() -> None:
    order: list[str] = []

    def sampler(name: str):
        def take() -> list[float]:
            order.append(name)
            return [len(order)]

        return take

    assert alternate(2, sampler("ours"), None, sampler("peer")) == [[3, 5], [], [4, 6]]
    assert order == ["ours", "peer"] * 3


def test_finish_writes_rows_and_fails_on_a_missed_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("clock", "peer 1.0")
    row = table.add("fire", Summary(12.5, 3, 12.0, 13.0), "us", peer=25.0, bar=10.0)
    target = tmp_path / "rows.json"
    assert table.finish(Options(quick=True, json=target)) == 1
    assert json.loads(target.read_text()) == [
        {
            "name": "fire",
            "value": 12.5,
            "unit": "us",
            "n": 3,
            "p50": 12.0,
            "p99": 13.0,
            "peer": 25.0,
            "ratio": 2.0,
            "bar": 10.0,
            "holds": row.holds,
        }
    ]
    printed = capsys.readouterr().out
    assert "quick: not for publication" in printed
    assert "NO" in printed
    table.rows.clear()
    assert table.finish(Options(quick=False, json=None)) == 0


def test_options() -> None:
    assert options("Title.\n\nMore.", ["--quick", "--json", "x.json"]) == Options(quick=True, json=Path("x.json"))
    assert options(None, []) == Options(quick=False, json=None)


@pytest.mark.parametrize(("value", "text"), [(None, ""), (1234567.8, "1,234,568"), (0.12345, "0.123"), (7.0, "7")])
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text
