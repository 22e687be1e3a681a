"""The real data sets inside installed packages: what they hold, spot values, and their known defects.

The oracle for the values is another reader of the same files (polars); dates and the exchange's session close come from
the calendar arithmetic of the standard library.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from libs.contracts.market import BarClosed, CloseReceived
from services.marketdata.adapters.dataset import open_dataset, survey
from services.marketdata.adapters.packages import packaged_source
from services.marketdata.batches import TimestampBatch
from services.marketdata.catalogue import PACKAGED_SETS
from services.marketdata.errors import SourceUnavailableError
from services.marketdata.settings import MarketDataSettings
from tests.services.marketdata.builders import ts

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def data() -> list[TimestampBatch]:
    return list(open_dataset(MarketDataSettings()))


def day_of(batch: TimestampBatch) -> str:
    moment = datetime.fromtimestamp(batch.ts_event / 1e9, UTC).astimezone(NEW_YORK)
    assert (moment.hour, moment.minute, moment.second) == (16, 0, 0)
    return moment.date().isoformat()


def test_the_default_data_set_has_every_day_of_the_three_sources(data: list[TimestampBatch]) -> None:
    days = [day_of(batch) for batch in data]
    assert (len(days), days[0], days[-1]) == (8_313, "1990-01-02", "2022-12-28")
    stocks = pl.read_csv(packaged_source("skfolio.sp500").path)
    assert days == stocks["Date"].to_list()
    assert data[0].ts_event == ts("1990-01-02T21:00:00")
    assert data[-1].ts_event == ts("2022-12-28T21:00:00")


def test_every_close_is_that_of_the_file(data: list[TimestampBatch]) -> None:
    stocks = pl.read_csv(packaged_source("skfolio.sp500").path)
    names = {
        f"{name}.{'XNAS' if name in {'AAPL', 'AMD', 'MSFT', 'PEP'} else 'XNYS'}": name for name in stocks.columns[1:]
    }
    found: dict[str, list[float]] = {name: [] for name in stocks.columns[1:]}
    for batch in data:
        for record in batch.closes:
            if record.source == "skfolio.sp500":
                found[names[record.symbol]].append(record.close)
    for name, closes in found.items():
        withheld = 69 if name == "RRC" else 0
        assert closes == stocks[name].to_list()[withheld:], name


def test_every_bar_of_the_indices_is_that_of_the_file(data: list[TimestampBatch]) -> None:
    for name, symbol, missing in (("arch.sp500", "SPX.INDEX", 0), ("arch.nasdaq", "IXIC.INDEX", 2)):
        rows = pl.read_csv(packaged_source(name).path).filter(pl.col("Volume") > 0)
        bars = [one for batch in data for one in batch.bars if one.symbol == symbol]
        assert len(bars) == 5_031 - missing
        expected = rows.select("Open", "High", "Low", "Close", "Volume").rows()
        assert [(one.open, one.high, one.low, one.close, one.volume) for one in bars] == [
            tuple(map(float, row)) for row in expected
        ]


def test_spot_values(data: list[TimestampBatch]) -> None:
    # From the first and last lines of the files, read by eye.
    by_day = {day_of(data[0]): data[0], day_of(data[-1]): data[-1]}
    first = {record.symbol: record.close for record in by_day["1990-01-02"].closes}
    last = {record.symbol: record.close for record in by_day["2022-12-28"].closes}
    assert (first["AAPL.XNAS"], first["XOM.XNYS"]) == (0.264, 4.068)
    assert (last["AAPL.XNAS"], last["XOM.XNYS"]) == (125.674, 106.627)
    index = next(batch for batch in data if batch.bars)
    ixic = (2207.540039, 2233.570068, 2192.679932, 2208.050049, 936660000.0)
    spx = (1229.22998, 1248.810059, 1219.099976, 1228.099976, 877000000.0)
    closed = ts("1999-01-04T21:00:00")
    assert index.bars == [
        BarClosed(closed, "IXIC.INDEX", "1d", *ixic, "arch.nasdaq"),
        BarClosed(closed, "SPX.INDEX", "1d", *spx, "arch.sp500"),
    ]


def test_an_instrument_is_defined_once_with_its_first_price(data: list[TimestampBatch]) -> None:
    defined: dict[str, int] = {}
    for batch in data:
        for one in batch.instruments:
            assert one.symbol not in defined
            defined[one.symbol] = batch.ts_event
        for record in (*batch.bars, *batch.closes):
            assert record.symbol in defined
    assert len(defined) == 22
    assert Counter(defined.values()) == {
        ts("1990-01-02T21:00:00"): 19,
        ts("1990-04-10T20:00:00"): 1,  # RRC: its first quoted price
        ts("1999-01-04T21:00:00"): 2,
    }
    specs = {one.symbol: one for batch in data for one in batch.instruments}
    assert [one.symbol for one in specs.values() if not one.is_tradable] == ["IXIC.INDEX", "SPX.INDEX"]
    assert (specs["KO.XNYS"].sector, specs["KO.XNYS"].asset_class, specs["SPX.INDEX"].asset_class) == (
        "Consumer Staples", "equity", "index",
    )  # fmt: skip


def test_known_defects_are_applied_and_counted(data: list[TimestampBatch]) -> None:
    summary = survey(MarketDataSettings())
    assert (summary.steps, summary.records) == (8_313, 8_313 * 20 - 69 + 2 * 5_031)
    assert {one.name: (one.records, one.withheld, one.reduced) for one in summary.sources} == {
        "skfolio.sp500": (166_191, 69, 0),
        "arch.sp500": (5_031, 0, 0),
        "arch.nasdaq": (5_031, 0, 2),
    }
    reduced = [one for batch in data for one in batch.closes if one.symbol == "IXIC.INDEX"]
    assert [one.ts_event for one in reduced] == [ts("2015-05-12T20:00:00"), ts("2018-01-09T21:00:00")]
    assert all(isinstance(one, CloseReceived) for one in reduced)


def test_the_defects_are_really_in_the_files() -> None:
    # A new version of a package may have mended them; then the table must shrink.
    stocks = pl.read_csv(packaged_source("skfolio.sp500").path)
    assert stocks["RRC"].head(69).unique().to_list() == [3.322]
    assert stocks["RRC"][69] == pytest.approx(3.322 / 3, abs=0.0005)
    nasdaq = pl.read_csv(packaged_source("arch.nasdaq").path)
    assert nasdaq.filter(pl.col("Volume") == 0)["Date"].to_list() == ["5/12/2015", "1/9/2018"]


def test_dates_cut_the_data_and_instruments_still_come_first() -> None:
    chosen = MarketDataSettings(start_date="2018-12-31", end_date="2019-01-03")
    found = list(open_dataset(chosen))
    assert [day_of(batch) for batch in found] == ["2018-12-31", "2019-01-02"]
    assert len(found[0].instruments) == 22
    assert survey(chosen).records == 22 + 20


def test_a_missing_package_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.marketdata.adapters.packages.find_spec", lambda _name: None)
    with pytest.raises(SourceUnavailableError) as caught:
        survey(MarketDataSettings(sources="arch.sp500"))
    assert str(caught.value) == (
        "data set 'arch.sp500' needs the package arch, which is not installed; run pip install --no-deps arch==8.0.0, "
        "or remove it from MARKETDATA_SOURCES"
    )


def test_a_package_without_the_file_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        PACKAGED_SETS,
        "arch.sp500",
        replace(PACKAGED_SETS["arch.sp500"], file="data/none.csv.gz"),
    )
    with pytest.raises(
        SourceUnavailableError, match=r"must be in arch/data/none.csv.gz, was not there; run pip install"
    ):
        survey(MarketDataSettings(sources="arch.sp500"))
