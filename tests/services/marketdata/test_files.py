"""Files that are read, and files that are refused with one sentence."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from libs.contracts.market import BarClosed, CloseReceived, QuoteReceived, TradeReceived
from services.marketdata.adapters.dataset import open_dataset, survey
from services.marketdata.batches import TimestampBatch
from services.marketdata.errors import RowError, SourceFormatError, SourceUnavailableError
from services.marketdata.sources import FileSource
from tests.services.marketdata.builders import DATA, settings, source, ts


def batches(*sources: Any, **fields: Any) -> list[TimestampBatch]:
    return list(open_dataset(settings(*sources, **fields)))


def only(*sources: Any) -> list[Any]:
    return [record for b in batches(*sources) for record in (*b.bars, *b.closes, *b.quotes, *b.trades)]


# -- excerpts of real files ---------------------------------------------------------------------


def test_ticks_of_usdjpy() -> None:
    records = only(source(DATA / "usdjpy-ticks.csv", "quote", symbol="USDJPY.SIM", name="ticks"))
    assert len(records) == 20
    assert records[0] == QuoteReceived(ts("2013-01-01T22:00:00.295"), "USDJPY.SIM", 86.655, 86.728, 0.0, 0.0, "ticks")


def test_one_minute_bars_of_a_future() -> None:
    es = source(
        DATA / "6eh4-bars.csv.gz", "bar", symbol="6EH4.XCME", interval="1m", timestamp={"column": "timestamp_utc"}
    )
    records = only(es)
    assert len(records) == 20
    assert records[0] == BarClosed(
        ts("2024-01-01T23:01:00"), "6EH4.XCME", "1m", 1.1076, 1.10785, 1.1076, 1.1078, 205.0, "test"
    )


def test_bars_stamped_with_their_open_close_an_interval_later() -> None:
    stamp = {"column": "timestamp_utc", "marks": "open"}
    es = source(DATA / "6eh4-bars.csv.gz", "bar", symbol="6EH4.XCME", interval="1m", timestamp=stamp)
    assert only(es)[0].ts_event == ts("2024-01-01T23:02:00")


def test_quotes_of_btcusdt_keep_several_in_a_millisecond() -> None:
    quotes = source(DATA / "btcusdt-quotes.parquet", "quote", symbol_column="symbol", venue="BINANCE",
                    columns={"bid_size": "bid_size", "ask_size": "ask_size"})  # fmt: skip
    found = batches(quotes)
    assert sum(len(batch.quotes) for batch in found) == 60
    assert len(found) == 46  # distinct milliseconds, counted with polars when the excerpt was made
    assert found[0].quotes == [
        QuoteReceived(ts("2021-01-08T00:00:01.076"), "BTC/USDT.BINANCE", 39432.99, 39433.62, 0.0031, 0.066851, "test")
    ]
    assert [one.symbol for one in found[0].instruments] == ["BTC/USDT.BINANCE"]


def test_trades_of_btcusdt_know_who_was_aggressive() -> None:
    trades = source(DATA / "btcusdt-trades.parquet", "trade", symbol="BTCUSDT.BINANCE",
                    columns={"size": "quantity", "aggressor": "buyer_maker", "id": "trade_id"},
                    aggressors={"True": "sell", "False": "buy"})  # fmt: skip
    records = only(trades)
    assert len(records) == 60
    assert records[0] == TradeReceived(
        ts("2021-01-08T00:00:00.278"), "BTCUSDT.BINANCE", 39432.48, 0.000263, "sell", "test"
    )
    assert records[1].aggressor == "buy"


def test_two_files_of_bars_make_quotes() -> None:
    pair = source(DATA / "gbpusd-m1-bid.csv", "quote", symbol="GBPUSD.SIM", ask_path=DATA / "gbpusd-m1-ask.csv",
                  interval="1m", timestamp={"marks": "open"})  # fmt: skip
    records = only(pair)
    assert len(records) == 10
    assert records[0] == QuoteReceived(ts("2012-02-01T00:01:00"), "GBPUSD.SIM", 1.57576, 1.57585, 0.0, 0.0, "test")


def test_a_file_without_volume_is_no_bars_but_closes() -> None:
    with pytest.raises(
        SourceFormatError, match=r"column 'volume' of .*gbpusd-m1-bid\.csv must be there once, was missing"
    ):
        batches(source(DATA / "gbpusd-m1-bid.csv", "bar"))
    assert only(source(DATA / "gbpusd-m1-bid.csv", interval="1m"))[0].close == 1.57576


def test_a_spreadsheets_byte_order_mark_and_a_last_empty_line_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbftimestamp,close\r\n2020-01-01T00:00:00,1.5\r\n\r\n")
    assert only(source(path)) == [CloseReceived(ts("2020-01-01"), "A.XNAS", "1d", 1.5, "test")]


def test_a_day_without_a_price_is_counted_not_made_up(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("timestamp,A,B\n2020-01-01,1,\n2020-01-02,2,20\n")
    wide = source(path, symbols={"A": "A.XNAS", "B": "B.XNAS"}, timestamp={"unit": "date"})
    found = batches(wide)
    assert [[(c.symbol, c.close) for c in batch.closes] for batch in found] == [
        [("A.XNAS", 1.0)],
        [("A.XNAS", 2.0), ("B.XNAS", 20.0)],
    ]
    assert [[one.symbol for one in batch.instruments] for batch in found] == [["A.XNAS"], ["B.XNAS"]]
    assert survey(settings(wide)).sources[0].empty_cells == 1


def test_parquet_is_read_in_slices_without_losing_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.marketdata.adapters.files.SLICE_ROWS", 7)
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 21), eager=True)
    pl.DataFrame({"day": days, "close": range(1, 22)}).write_parquet(tmp_path / "a.parquet")
    records = only(source(tmp_path / "a.parquet", timestamp={"column": "day", "unit": "date"}))
    assert [record.close for record in records] == [float(n) for n in range(1, 22)]
    assert records[0].ts_event == ts("2020-01-01T21:00:00")


# -- files that cannot be read ------------------------------------------------------------------


def _missing(path: Path) -> FileSource:
    return source(path / "nowhere.csv")


def _directory(path: Path) -> FileSource:
    return source(path)


def _no_gzip(path: Path) -> FileSource:
    (path / "a.csv.gz").write_bytes(b"timestamp,close\n")
    return source(path / "a.csv.gz")


def _cut_gzip(path: Path) -> FileSource:
    whole = gzip.compress(b"timestamp,close\n" + b"".join(b"2020-01-01T00:00:00.%06d,1\n" % n for n in range(20_000)))
    (path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    return source(path / "a.csv.gz")


def _no_text(path: Path) -> FileSource:
    (path / "a.csv").write_bytes(b"timestamp,close\n\xff\xfe\x00")
    return source(path / "a.csv")


def _no_parquet(path: Path) -> FileSource:
    (path / "a.parquet").write_bytes(b"PAR1 but not really")
    return source(path / "a.parquet")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_missing, r"data file .*nowhere\.csv does not exist; correct MARKETDATA_SOURCES"),
        (_directory, r"is a directory; name one file"),
        (_no_gzip, r"a\.csv\.gz is damaged as gzip .*; get it again"),
        (_cut_gzip, r"a\.csv\.gz is damaged as gzip .*; get it again"),
        (_no_text, r"a\.csv is no UTF-8 text .*; convert it"),
        (_no_parquet, r"a\.parquet cannot be read as Parquet .*; get it again"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    make: Callable[[Path], FileSource], text: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceUnavailableError, match=text) as caught:
        survey(settings(make(tmp_path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "must begin with a line of column names, was empty"),
        ("timestamp,close\n", "must have rows, was only a header"),
        ("timestamp,price\n", "column 'close' of .* was missing; its columns are timestamp, price"),
        ("timestamp,close,close\n", "column 'close' of .* was there more than once"),
    ],
)
def test_a_header_that_does_not_fit_is_one_sentence(content: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(SourceFormatError, match=text):
        survey(settings(source(tmp_path / "a.csv")))


def test_parquet_times_without_a_zone_are_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"timestamp": ["2020-01-01 00:00:00"], "close": [1.0]})
    frame.with_columns(pl.col("timestamp").str.to_datetime()).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(SourceFormatError, match=r"column 'timestamp' of .* must have a time zone"):
        survey(settings(source(tmp_path / "a.parquet")))


def test_no_data_between_the_dates_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("timestamp,close\n2020-01-01T00:00:00,1\n")
    with pytest.raises(SourceFormatError, match="must be data between 2021-01-01 and the end, was none"):
        survey(settings(source(tmp_path / "a.csv"), start_date="2021-01-01"))


def test_two_files_must_have_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "bid.csv").write_text("timestamp,close\n2020-01-01T00:00:00,1\n2020-01-01T00:01:00,1\n")
    (tmp_path / "ask.csv").write_text("timestamp,close\n2020-01-01T00:00:00,2\n2020-01-01T00:02:00,2\n")
    pair = source(tmp_path / "bid.csv", "quote", ask_path=tmp_path / "ask.csv")
    with pytest.raises(
        RowError, match=r"ask\.csv line 3, column 'timestamp': must be 2020-01-01T00:01:00 as in line 3"
    ):
        survey(settings(pair))
    (tmp_path / "ask.csv").write_text("timestamp,close\n2020-01-01T00:00:00,2\n")
    with pytest.raises(RowError, match="give both files the same rows"):
        survey(settings(pair))
    (tmp_path / "ask.csv").write_text("timestamp,close\n2020-01-01T00:00:00,-2\n")
    with pytest.raises(RowError, match=r"ask\.csv line 2, column 'close': must be a finite price above 0, was -2"):
        survey(settings(pair))
