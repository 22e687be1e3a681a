"""The real data sets that ship inside installed packages, and what their symbols are.

Listing venues and sectors (GICS) are those of the last date of the data, December 2022. Prices of ``skfolio.sp500`` are
adjusted for splits and dividends and rounded to 0.001, so that is their tick: the price somebody paid that day was
another. Both packages call their data stale and for examples only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from services.marketdata.defects import Defect
from services.marketdata.sources import FileSource, InstrumentSpec, TimestampSpec
from services.marketdata.stamps import midnight_ns

#: Symbol, venue and sector of the twenty stocks.
_STOCKS: Final[dict[str, tuple[str, str]]] = {
    "AAPL": ("XNAS", "Information Technology"),
    "AMD": ("XNAS", "Information Technology"),
    "BAC": ("XNYS", "Financials"),
    "BBY": ("XNYS", "Consumer Discretionary"),
    "CVX": ("XNYS", "Energy"),
    "GE": ("XNYS", "Industrials"),
    "HD": ("XNYS", "Consumer Discretionary"),
    "JNJ": ("XNYS", "Health Care"),
    "JPM": ("XNYS", "Financials"),
    "KO": ("XNYS", "Consumer Staples"),
    "LLY": ("XNYS", "Health Care"),
    "MRK": ("XNYS", "Health Care"),
    "MSFT": ("XNAS", "Information Technology"),
    "PEP": ("XNAS", "Consumer Staples"),
    "PFE": ("XNYS", "Health Care"),
    "PG": ("XNYS", "Consumer Staples"),
    "RRC": ("XNYS", "Energy"),
    "UNH": ("XNYS", "Health Care"),
    "WMT": ("XNYS", "Consumer Staples"),
    "XOM": ("XNYS", "Energy"),
}


@dataclass(frozen=True, slots=True)
class PackagedSet:
    """A data set inside a package.

    Attributes:
        package: Distribution and import name.
        version: The version whose data was looked at; defects are known for that one.
        file: Path inside the package.
        source: How to read it; its path is filled in where it is found.
        description: What it is.
    """

    package: str
    version: str
    file: str
    source: FileSource
    description: str
    defects: tuple[Defect, ...] = ()


def _stock(name: str) -> InstrumentSpec:
    return InstrumentSpec(asset_class="equity", currency="USD", tick_size="0.001", sector=_STOCKS[name][1])


def _index(name: str, symbol: str) -> FileSource:
    return FileSource(
        name=name,
        path=Path(),
        format="csv",
        records="bar",
        symbol=symbol,
        timestamp=TimestampSpec(column="Date", unit="date", pattern="%m/%d/%Y"),
        columns={"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"},
        instrument=InstrumentSpec(asset_class="index", currency="USD", is_tradable=False),
    )


def _day(symbol: str, first: date, end: date, reason: str, *, close_only: bool = False) -> Defect:
    return Defect(symbol, midnight_ns(first), midnight_ns(end), "close-only" if close_only else "withhold", reason)


_RRC_REASON = (
    "one price, 3.322, on all 69 days from 1990-01-02 to 1990-04-09, then exactly a third of it: filled backwards "
    "across an unadjusted split, not quoted; published, it would be a loss of 67 % in a day that nobody had"
)
_VOLUME_REASON = "volume 0 on a day of full trading: missing, not none; the day keeps its close only"

#: By the name that ``MARKETDATA_SOURCES`` uses.
PACKAGED_SETS: Final[dict[str, PackagedSet]] = {
    "skfolio.sp500": PackagedSet(
        package="skfolio",
        version="1.12.2",
        file="datasets/data/sp500_dataset.csv.gz",
        source=FileSource(
            name="skfolio.sp500",
            path=Path(),
            format="csv",
            records="close",
            symbols={name: f"{name}.{venue}" for name, (venue, _) in _STOCKS.items()},
            timestamp=TimestampSpec(column="Date", unit="date"),
            instrument=InstrumentSpec(asset_class="equity", currency="USD", tick_size="0.001"),
            instruments={f"{name}.{venue}": _stock(name) for name, (venue, _) in _STOCKS.items()},
        ),
        description="daily adjusted closes of 20 constituents of the S&P 500, 1990-01-02 to 2022-12-28",
        defects=(_day("RRC.XNYS", date(1990, 1, 1), date(1990, 4, 10), _RRC_REASON),),
    ),
    "arch.sp500": PackagedSet(
        package="arch",
        version="8.0.0",
        file="data/sp500/sp500.csv.gz",
        source=_index("arch.sp500", "SPX.INDEX"),
        description="daily bars of the S&P 500 index, 1999-01-04 to 2018-12-31",
    ),
    "arch.nasdaq": PackagedSet(
        package="arch",
        version="8.0.0",
        file="data/nasdaq/nasdaq.csv.gz",
        source=_index("arch.nasdaq", "IXIC.INDEX"),
        description="daily bars of the NASDAQ Composite index, 1999-01-04 to 2018-12-31",
        defects=(
            _day("IXIC.INDEX", date(2015, 5, 12), date(2015, 5, 13), _VOLUME_REASON, close_only=True),
            _day("IXIC.INDEX", date(2018, 1, 9), date(2018, 1, 10), _VOLUME_REASON, close_only=True),
        ),
    ),
}
