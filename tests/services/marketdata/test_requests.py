"""Rows of ``POST /data/ingest``: sorted into timestamps, or rejected with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.marketdata.requests import IngestRequest, sort_rows
from tests.services.marketdata.builders import DAY

NOW = 100 * DAY
SYMBOLS = frozenset({"A.X", "B.X"})


def row(kind: str, data: dict[str, Any], symbol: str = "A.X", timestamp: Any = 2 * DAY) -> dict[str, Any]:
    return {"symbol": symbol, "data_type": kind, "source": "desk", "timestamp": timestamp, "data": data}


BAR = {"open": 1.5, "high": 2.0, "low": 1.0, "close": 1.5, "volume": 10}
CLOSE = {"close": 1.5}
QUOTE = {"bid": 1.0, "ask": 1.5}
TRADE = {"price": 1.0, "size": 2.0}


def sort(*rows: dict[str, Any]) -> tuple[list[Any], dict[int, str]]:
    batches, rejected = sort_rows(IngestRequest(data=list(rows)), SYMBOLS, DAY, NOW)  # type: ignore[arg-type]
    return batches, {one.index: one.reason for one in rejected}


def test_rows_in_any_order_become_timestamps_in_canonical_order() -> None:
    batches, rejected = sort(
        row("tick", TRADE, timestamp="1970-01-05T00:00:00Z"),
        row("bar", BAR, "B.X"),
        row("bar", BAR, "A.X"),
        row("quote", QUOTE, "A.X", str(3 * DAY)),
        row("close", CLOSE | {"interval": "1h"}, "A.X"),
    )
    assert rejected == {}
    assert [batch.ts_event for batch in batches] == [2 * DAY, 3 * DAY, 4 * DAY]
    assert [(one.symbol, one.source) for one in batches[0].bars] == [("A.X", "desk"), ("B.X", "desk")]
    assert batches[0].closes[0].interval == "1h"
    assert (batches[1].quotes[0].bid_size, batches[2].trades[0].aggressor) == (0.0, "unknown")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row("bar", BAR | {"high": 1.2}), "open must lie between the low 1.0 and the high 1.2, was 1.5"),
        (row("bar", BAR | {"volume": -1}), "volume must be finite and not negative, was -1.0"),
        (row("quote", QUOTE | {"bid": 2.0}), "bid must not be above the ask 1.5, was 2.0"),
        (row("close", {"close": 0}), "close must be a finite price above 0, was 0.0"),
        (row("close", CLOSE, timestamp=NOW + 1), "timestamp must not be in the future"),
        (row("close", CLOSE, timestamp=DAY), "timestamp must be after 1970-01-02T00:00:00Z, which is published"),
        (row("close", CLOSE, "Z.X"), "symbol must be one that GET /symbols lists, was 'Z.X'"),
        (row("bar", BAR), "must be the only bar or close of its symbol and interval"),
    ],
)
def test_a_row_that_cannot_be_is_rejected_and_the_others_are_not(bad: dict[str, Any], reason: str) -> None:
    batches, rejected = sort(row("bar", BAR), row("trade", TRADE), bad)
    assert list(rejected) == [2]
    assert reason in rejected[2]
    assert [batch.records for batch in batches] == [2]


def test_a_timestamp_is_one_command_at_most() -> None:
    batches, rejected = sort(*(row("trade", TRADE) for _ in range(1_003)))
    assert batches[0].records == 1_000
    assert list(rejected) == [1_000, 1_001, 1_002]


@pytest.mark.parametrize(
    "bad",
    [
        row("news", {}),
        row("bar", CLOSE),
        row("bar", BAR | {"vwap": 1}),
        row("bar", BAR | {"interval": "1 day"}),
        row("close", CLOSE, timestamp="yesterday"),
        row("close", CLOSE, timestamp=None),
        row("close", CLOSE, timestamp=0),
        row("close", CLOSE) | {"colour": "red"},
        row("close", CLOSE) | {"latency_ms": -1},
    ],
)
def test_what_is_no_row_at_all_refuses_the_request(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IngestRequest(data=[bad])  # type: ignore[list-item]
