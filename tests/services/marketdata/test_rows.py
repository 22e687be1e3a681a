"""Every refusal of a row names file, line, column, value and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from services.marketdata.adapters.dataset import survey
from services.marketdata.errors import RowError
from services.marketdata.sources import FileSource
from tests.services.marketdata.builders import settings, source

DAY = "2020-01-0"


def refused(file: FileSource) -> RowError:
    with pytest.raises(RowError) as caught:
        survey(settings(file))
    return caught.value


def written(path: Path, *rows: str, header: str, **fields: Any) -> FileSource:
    path.write_text("\n".join([header, *rows]) + "\n")
    return source(path, timestamp={"unit": "date"}, **fields)


@pytest.mark.parametrize(
    ("row", "line", "column", "must", "value"),
    [
        ("2020-01-01,10", 3, "timestamp", "must not be before the row above it", "'2020-01-01'"),
        ("2020-01-02,10", 3, "timestamp", "must not be the time of an earlier row of A.XNAS", "'2020-01-02'"),
        ("2020-01-03,nan", 3, "close", "must be a finite price above 0", "nan"),
        ("2020-01-03,inf", 3, "close", "must be a finite price above 0", "inf"),
        ("2020-01-03,-3.20", 3, "close", "must be a finite price above 0", "-3.20"),
        ("2020-01-03,0", 3, "close", "must be a finite price above 0", "0"),
        ("2020-01-03,", 3, "close", "must be a number", "empty"),
        ("2020-01-03,ten", 3, "close", "must be a number", "'ten'"),
        ("2020-01-03,1_000", 3, "close", "must be a number", "1_000"),
        ("01/03/2020,10", 3, "timestamp", "must be a date written YYYY-MM-DD", "'01/03/2020'"),
        (",10", 3, "timestamp", "must be a date written YYYY-MM-DD", "empty"),
        ("2020-01-03,10,11", 3, "timestamp", "must be a row of 2 cells", "3 cells"),
        ("2020-01-03", 3, "timestamp", "must be a row of 2 cells", "1 cells"),
        ('2020-01-03,"10"x', 3, "timestamp", "must be well-formed CSV", "',' expected after '\"'"),
        ("\n\n2020-01-03,-1", 5, "close", "must be a finite price above 0", "-1"),
    ],
)
def test_a_bad_close_is_named(row: str, line: int, column: str, must: str, value: str, tmp_path: Path) -> None:
    error = refused(written(tmp_path / "prices.csv", "2020-01-02,10", row, header="timestamp,close"))
    assert (error.file, error.line, error.column, error.value) == (str(tmp_path / "prices.csv"), line, column, value)
    assert error.remedy
    assert str(error) == f"{error.file} line {line}, column '{column}': {must}, was {value}; {error.remedy}"


@pytest.mark.parametrize(
    ("row", "column", "must"),
    [
        ("2020-01-03,10,9,8,8.5,5", "O", "must lie between the low 8.0 and the high 9.0"),
        ("2020-01-03,9,10,8,11,5", "C", "must lie between the low 8.0 and the high 10.0"),
        ("2020-01-03,9,8,10,9,5", "H", "must not be below the low 10.0"),
        ("2020-01-03,9,10,8,9,-5", "V", "must be finite and not negative"),
        ("2020-01-03,9,10,-8,9,5", "L", "must be a finite price above 0"),
    ],
)
def test_a_bad_bar_is_named_by_its_columns(row: str, column: str, must: str, tmp_path: Path) -> None:
    columns = {"open": "O", "high": "H", "low": "L", "close": "C", "volume": "V"}
    error = refused(written(tmp_path / "a.csv", row, header="timestamp,O,H,L,C,V", records="bar", columns=columns))
    assert (error.line, error.column) == (2, column)
    assert must in str(error)


def test_a_bad_quote_and_a_bad_trade_are_named(tmp_path: Path) -> None:
    quotes = written(tmp_path / "q.csv", f"{DAY}1,2.5,2", header="timestamp,bid,ask", records="quote")
    assert "q.csv line 2, column 'bid': must not be above the ask 2.0, was 2.5" in str(refused(quotes))
    trades = written(tmp_path / "t.csv", f"{DAY}1,1,0", header="timestamp,price,size", records="trade")
    assert "column 'size': must be finite and above 0, was 0; correct or remove the row" in str(refused(trades))
    sides = written(tmp_path / "s.csv", f"{DAY}1,1,1,B", header="timestamp,price,size,side", records="trade",
                    columns={"aggressor": "side"})  # fmt: skip
    assert "column 'side': must be one of buy, sell, unknown, was 'B'; correct the row or add the word" in str(
        refused(sides)
    )


def test_ticks_are_doubled_only_by_content_or_id(tmp_path: Path) -> None:
    header, row = "timestamp,price,size,n", f"{DAY}1,1,1,"
    different = written(tmp_path / "t.csv", f"{DAY}1,1,1,1", f"{DAY}1,1,2,2", header=header, records="trade")
    assert survey(settings(different)).records == 2
    same = written(tmp_path / "t.csv", row + "1", row + "2", header=header, records="trade")
    error = refused(same)
    assert error.line == 3
    assert "row of A.XNAS with the same content" in str(error)
    assert error.remedy == "remove one, map a column of ids, or set duplicates to 'keep'"
    by_id = same.model_copy(update={"columns": {"id": "n"}})
    assert survey(settings(by_id)).records == 2
    assert survey(settings(same.model_copy(update={"duplicates": "keep"}))).records == 2
    twice = written(tmp_path / "t.csv", row + "7", row + "7", header=header, records="trade", columns={"id": "n"})
    assert "with the same id" in str(refused(twice))


def test_a_wide_file_names_the_column_of_the_instrument(tmp_path: Path) -> None:
    wide = {"A": "A.XNAS", "B": "B.XNAS"}
    bad = written(tmp_path / "w.csv", f"{DAY}1,1,2", f"{DAY}2,1,-2", header="timestamp,A,B", symbols=wide)
    assert (refused(bad).line, refused(bad).column) == (3, "B")
    twice = written(tmp_path / "w.csv", f"{DAY}1,1,2", f"{DAY}1,1,2", header="timestamp,A,B", symbols=wide)
    assert "line 3, column 'timestamp': must not be the time of an earlier row" in str(refused(twice))


@pytest.mark.parametrize(
    ("cell", "venue", "must"), [("", "XNAS", "a symbol"), ("A", "", "SYMBOL.VENUE"), ("A B", "X", "a symbol")]
)
def test_a_cell_that_is_no_symbol_is_named(cell: str, venue: str, must: str, tmp_path: Path) -> None:
    long = written(
        tmp_path / "l.csv", f"{DAY}1,{cell},1", header="timestamp,who,close", symbol_column="who", venue=venue
    )
    error = refused(long)
    assert (error.line, error.column) == (2, "who")
    assert must in str(error)


def test_rows_sorted_by_symbol_instead_of_time_are_refused(tmp_path: Path) -> None:
    rows = [f"{DAY}1,A,1", f"{DAY}2,A,1", f"{DAY}1,B,1"]
    error = refused(written(tmp_path / "l.csv", *rows, header="timestamp,who,close", symbol_column="who", venue="X"))
    assert error.line == 4
    assert error.remedy == "sort the file by this column"


def test_a_parquet_file_counts_rows(tmp_path: Path) -> None:
    pl.DataFrame({"timestamp": ["2020-01-01", "2020-01-02"], "close": [1.0, float("nan")]}).write_parquet(
        tmp_path / "a.parquet"
    )
    error = refused(source(tmp_path / "a.parquet", timestamp={"unit": "date"}))
    assert str(error).startswith(f"{tmp_path}/a.parquet row 2, column 'close': must be a finite price above 0, was nan")
    pl.DataFrame(
        {"timestamp": ["2020-01-01"], "close": [None]}, schema={"timestamp": pl.String, "close": pl.Float64}
    ).write_parquet(tmp_path / "b.parquet")
    assert refused(source(tmp_path / "b.parquet", timestamp={"unit": "date"})).value == "empty"
