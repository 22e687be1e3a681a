"""Reads rows from CSV (also gzipped) and Parquet files; whatever goes wrong is one sentence that names the file."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Final

from services.marketdata.errors import RowError, SourceFormatError, SourceUnavailableError
from services.marketdata.parsing import Row

#: Rows of a Parquet file held in memory at a time.
SLICE_ROWS: Final = 65_536


def read_csv(path: Path, columns: list[str], delimiter: str) -> Iterator[Row]:
    """Rows of a text file with a header line, cut to ``columns``; line numbers are those an editor shows.

    Raises:
        RowError: If a row has more or fewer cells than the header.
        SourceFormatError: If a column is missing or named twice, or there are no rows.
        SourceUnavailableError: If the file cannot be read.
    """
    with _one_sentence(path), _open_text(path) as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        header = [name.strip() for name in next(reader, [])]
        positions = _positions(path, header, columns)
        # itemgetter of one position gives a cell, not a tuple.
        cut = itemgetter(*positions) if len(positions) > 1 else lambda cells: (cells[positions[0]],)
        rows = 0
        try:
            for cells in reader:
                if not cells:
                    continue  # an empty line, usually the last
                if len(cells) != len(header):
                    raise RowError(
                        str(path), reader.line_num, columns[0], f"must be a row of {len(header)} cells",
                        f"{len(cells)} cells", "correct or remove the row",
                    )  # fmt: skip
                rows += 1
                yield reader.line_num, cut(cells)
        except csv.Error as error:
            raise RowError(
                str(path),
                reader.line_num,
                columns[0],
                "must be well-formed CSV",
                str(error),
                "correct or remove the row",
            ) from error
        _refuse_empty(path, rows)


def read_parquet(path: Path, columns: list[str]) -> Iterator[Row]:
    """Rows of a Parquet file, cut to ``columns``; the first column's dates and times come as in :func:`stamp_unit`.

    Raises:
        SourceFormatError: If a column is missing, or there are no rows.
        SourceUnavailableError: If the file cannot be read.
    """
    import polars as pl

    with _one_parquet_sentence(path):
        unit = stamp_unit(path, columns[0])
        frame = pl.scan_parquet(path)
        _positions(path, frame.collect_schema().names(), columns)
        stamp = pl.col(columns[0])
        if unit == "ns":
            stamp = stamp.dt.epoch("ns")
        elif unit == "date":
            stamp = stamp.cast(pl.String)
        frame = frame.select(stamp.alias("stamp"), *[pl.col(name).alias(f"c{i}") for i, name in enumerate(columns[1:])])
        rows = 0
        while True:
            cut = frame.slice(rows, SLICE_ROWS).collect()
            yield from enumerate(cut.iter_rows(), rows + 1)
            rows += cut.height
            if cut.height < SLICE_ROWS:
                break
        _refuse_empty(path, rows)


def stamp_unit(path: Path, column: str) -> str:
    """``ns`` for a column of instants, ``date`` for one of days, ``""`` where the settings must say what it holds.

    Raises:
        SourceFormatError: If the column is missing, or holds times without a zone (nobody can say which they are).
        SourceUnavailableError: If the file cannot be read.
    """
    import polars as pl

    with _one_parquet_sentence(path):
        schema = pl.read_parquet_schema(path)
        _positions(path, list(schema), [column])
        kind = schema[column]
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None:
            raise SourceFormatError(
                f"column '{column}' of {path} must have a time zone, was {kind}; write the file with UTC times"
            )
        return "ns"
    return "date" if kind == pl.Date else ""


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SourceUnavailableError(f"data file {path} does not exist; correct MARKETDATA_SOURCES") from error
    except PermissionError as error:
        raise SourceUnavailableError(
            f"data file {path} may not be read by this user; change its permissions"
        ) from error
    except IsADirectoryError as error:
        raise SourceUnavailableError(f"data file {path} is a directory; name one file") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceUnavailableError(f"data file {path} is damaged as gzip ({error}); get it again") from error
    except UnicodeDecodeError as error:
        raise SourceUnavailableError(f"data file {path} is no UTF-8 text ({error.reason}); convert it") from error
    except OSError as error:
        raise SourceUnavailableError(
            f"data file {path} cannot be read ({error.strerror or error}); check it"
        ) from error


@contextmanager
def _one_parquet_sentence(path: Path) -> Iterator[None]:
    from polars.exceptions import PolarsError

    with _one_sentence(path):
        try:
            yield
        except PolarsError as error:
            text = str(error).splitlines()[0]
            raise SourceUnavailableError(
                f"data file {path} cannot be read as Parquet ({text}); get it again"
            ) from error


def _open_text(path: Path) -> IO[str]:
    # utf-8-sig drops the byte order mark that spreadsheets write, which would become part of the first column's name.
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _positions(path: Path, header: list[str], columns: list[Any]) -> list[int]:
    if not any(header):
        raise SourceFormatError(f"data file {path} must begin with a line of column names, was empty; add one")
    for name in columns:
        if header.count(name) != 1:
            found = "missing" if name not in header else "there more than once"
            raise SourceFormatError(
                f"column '{name}' of {path} must be there once, was {found}; its columns are {', '.join(header[:40])}: "
                "correct the file or the source's column mapping"
            )
    return [header.index(name) for name in columns]


def _refuse_empty(path: Path, rows: int) -> None:
    if not rows:
        raise SourceFormatError(
            f"data file {path} must have rows, was only a header; remove it from MARKETDATA_SOURCES"
        )
