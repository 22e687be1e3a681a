"""``MARKETDATA_*``: what is accepted, and one sentence for what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.contracts.fleet import READERS
from libs.engine.errors import SettingsError
from services.marketdata.settings import MarketDataSettings
from services.marketdata.sources import FileSource

FILE = {
    "name": "es", "path": "es.csv", "records": "bar", "symbol": "6EH4.XCME", "interval": "1m",
    "instrument": {"asset_class": "fx", "currency": "USD"},
}  # fmt: skip


def test_the_defaults_replay_the_real_sets_in_lockstep() -> None:
    chosen = MarketDataSettings()
    assert chosen.sources == ("skfolio.sp500", "arch.sp500", "arch.nasdaq")
    assert (chosen.port, chosen.speed, chosen.lockstep, chosen.lockstep_readers) == (8800, 30.0, True, READERS)


def test_sources_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_SOURCES", "arch.sp500, skfolio.sp500")
    monkeypatch.setenv("MARKETDATA_LOCKSTEP_READERS", "marketdata,risk")
    monkeypatch.setenv("MARKETDATA_START_DATE", "2000-01-01")
    chosen = MarketDataSettings()
    assert chosen.sources == ("arch.sp500", "skfolio.sp500")
    assert chosen.lockstep_readers == ("marketdata", "risk")
    monkeypatch.setenv("MARKETDATA_SOURCES", "none")
    assert MarketDataSettings().sources == ()
    monkeypatch.setenv("MARKETDATA_SOURCES", json.dumps(["arch.sp500", FILE]))
    name, file = MarketDataSettings().sources
    assert name == "arch.sp500"
    assert isinstance(file, FileSource)
    assert (file.symbol, file.interval, file.timestamp.zone, file.is_parquet) == ("6EH4.XCME", "1m", "UTC", False)


def test_instruments_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_INSTRUMENTS", '{"A.XNAS": {"asset_class": "equity", "currency": "USD"}}')
    assert MarketDataSettings().instruments["A.XNAS"].tick_size == "0"
    monkeypatch.setenv("MARKETDATA_INSTRUMENTS", '{"A": {"asset_class": "equity", "currency": "USD"}}')
    with pytest.raises(SettingsError, match=r"MARKETDATA_INSTRUMENTS must name symbols as SYMBOL\.VENUE, was 'A'"):
        MarketDataSettings()
    monkeypatch.setenv("MARKETDATA_INSTRUMENTS", '{"A.XNAS": {"asset_class": "stock", "currency": "USD"}}')
    with pytest.raises(SettingsError, match=r"instrument 'A\.XNAS': asset_class: must be 'equity', 'index'"):
        MarketDataSettings()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"path": None}, "source 'es': path: "),
        ({"colour": "red"}, "source 'es': colour: Extra inputs are not permitted"),
        ({"symbol": ""}, "must have one of symbol, symbol_column and symbols, had none"),
        ({"symbol_column": "s"}, "must have one of symbol, symbol_column and symbols, had"),
        ({"symbol": "ES"}, "symbols must be SYMBOL.VENUE, was 'ES'"),
        ({"interval": "1 minute"}, "interval: must be a count and one of s, m, h, d, was '1 minute'"),
        ({"columns": {"last": "px"}}, "columns of 'bar' may name open, high, low, close, volume, was 'last'"),
        ({"venue": "XCME"}, "venue is only for symbol_column"),
        ({"symbol": "", "symbols": {"A": "A.X"}}, "symbols is for records 'close', was with 'bar'"),
        ({"ask_path": "b.csv"}, "ask_path is for records 'quote' of one symbol"),
        ({"records": "trade", "timestamp": {"marks": "open"}}, "timestamp.marks 'open' is for bars and closes"),
        ({"timestamp": {"timezone": "Mars/Olympus"}}, "timestamp.timezone: must be a time zone, was 'Mars/Olympus'"),
        ({"instrument": {"asset_class": "fx", "currency": "usd"}}, "instrument.currency: "),
        ({"instrument": {"asset_class": "fx", "currency": "USD", "lot_size": "0.00"}}, "instrument.lot_size: "),
    ],
)
def test_a_source_that_does_not_fit_is_one_sentence(change: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        MarketDataSettings(sources=json.dumps([{**FILE, **change}]))
    assert str(caught.value).startswith("MARKETDATA_SOURCES source 'es'")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"sources": "sp500"}, "may name the packaged data sets skfolio.sp500, arch.sp500, arch.nasdaq, was 'sp500'"),
        ({"sources": "[1,"}, "MARKETDATA_SOURCES must be JSON, was something else"),
        ({"sources": {"a": 1}}, "must be a list of sources, was dict"),
        ({"sources": "arch.sp500,arch.sp500"}, "must have different names, was 'arch.sp500' twice"),
        (
            {"start_date": "2020-01-02", "end_date": "2020-01-02"},
            "MARKETDATA_START_DATE must be before MARKETDATA_END_DATE",
        ),
        ({"speed": -1}, "MARKETDATA_SPEED"),
        ({"speed": float("nan")}, "MARKETDATA_SPEED"),
    ],
)
def test_a_setting_that_cannot_be_is_named(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        MarketDataSettings(**fields)
    assert text in str(caught.value)
