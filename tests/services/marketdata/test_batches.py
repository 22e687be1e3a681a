"""Several sources become one sequence of timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.market import InstrumentDefined
from services.marketdata.batches import RecordStream, TimestampBatch, merge_streams
from services.marketdata.errors import SourceFormatError
from services.marketdata.validation import Record
from tests.services.marketdata.builders import DAY, bar, close, instrument, quote, trade

MAKERS = (bar, close, quote, trade)


def stream(name: str, records: Sequence[Record]) -> RecordStream:
    return RecordStream(name, records, instrument)


def flat(batches: Sequence[TimestampBatch]) -> list[Record]:
    return [record for b in batches for record in (*b.bars, *b.closes, *b.quotes, *b.trades)]


@st.composite
def sources(draw: st.DrawFn) -> list[list[Record]]:
    """Up to three sources with symbols of their own, each sorted by time, several records a timestamp."""
    made = []
    for index in range(draw(st.integers(0, 3))):
        days = sorted(draw(st.lists(st.integers(1, 6), max_size=8)))
        rows: list[Record] = []
        for position, day in enumerate(days):
            kind = draw(st.sampled_from(MAKERS))
            symbol = f"{draw(st.sampled_from('AB'))}{index}.X"
            record = kind(symbol, day * DAY, 10.0 + position)
            if not any(
                one.ts_event == day * DAY and type(one) is type(record) and one.symbol == symbol for one in rows
            ):
                rows.append(record)
        made.append(rows)
    return made


@given(sources())
def test_a_merge_keeps_every_record_in_time_order(given_sources: list[list[Record]]) -> None:
    batches = list(merge_streams([stream(f"s{n}", rows) for n, rows in enumerate(given_sources)]))
    assert all(a.ts_event < b.ts_event for a, b in pairwise(batches))
    assert sorted(map(repr, flat(batches))) == sorted(repr(record) for rows in given_sources for record in rows)
    for batch in batches:
        assert all(record.ts_event == batch.ts_event for record in flat([batch]))
        for records in (batch.bars, batch.closes, batch.quotes, batch.trades):
            assert [one.symbol for one in records] == sorted(one.symbol for one in records)
    defined: list[str] = []
    for batch in batches:
        defined.extend(one.symbol for one in batch.instruments)
        assert {record.symbol for record in flat([batch])} <= set(defined)
    assert len(defined) == len(set(defined))


def test_the_order_of_the_sources_does_not_matter() -> None:
    parts = [
        stream("a", [close("C.X", DAY), close("A.X", 2 * DAY)]),
        stream("b", [bar("B.X", DAY)]),
        stream("c", [close("B.Y", DAY), quote("A.Y", DAY)]),
    ]
    merged = [list(merge_streams(order)) for order in permutations(parts)]
    assert all(one == merged[0] for one in merged)
    assert [one.symbol for one in merged[0][0].instruments] == ["A.Y", "B.X", "B.Y", "C.X"]


def test_quotes_of_one_symbol_keep_the_order_of_their_file() -> None:
    rows = [quote("A.X", DAY, 12.0), quote("A.X", DAY, 11.0), quote("A.X", DAY, 13.0)]
    (batch,) = merge_streams([stream("a", rows)])
    assert batch.quotes == rows


def test_the_end_is_left_out() -> None:
    rows = [close("A.X", day * DAY) for day in range(1, 5)]
    assert [b.ts_event // DAY for b in merge_streams([stream("a", rows)], 4 * DAY)] == [1, 2, 3]


def test_two_sources_of_one_price_are_refused() -> None:
    parts = [stream("first", [close("A.X", DAY)]), stream("second", [close("A.X", DAY)])]
    with pytest.raises(
        SourceFormatError, match=r"both price A.X \(1d\) at one time, was 'first' and 'second' .*; remove one"
    ):
        list(merge_streams(parts))


def test_two_definitions_of_one_instrument_are_refused() -> None:
    def other(symbol: str, ts_event: int) -> InstrumentDefined:
        return msgspec.structs.replace(instrument(symbol, ts_event), currency="EUR")

    parts = [stream("first", [close("A.X", DAY)]), RecordStream("second", [quote("A.X", 2 * DAY)], other)]
    with pytest.raises(SourceFormatError, match=r"'first' and 'second' must define A\.X alike, was .*USD.* and .*EUR"):
        list(merge_streams(parts))
    same = [stream("first", [close("A.X", DAY)]), stream("second", [quote("A.X", 2 * DAY)])]
    assert [len(batch.instruments) for batch in merge_streams(same)] == [1, 0]
