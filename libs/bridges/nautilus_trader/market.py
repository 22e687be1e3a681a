"""NautilusTrader's quotes, trades, bars and instruments as our events.

============================  ==============================================================================
theirs                        ours
============================  ==============================================================================
``QuoteTick``                 ``QuoteReceived``: ``bid_price``, ``ask_price``, ``bid_size``, ``ask_size``
``TradeTick``                 ``TradeReceived``: BUYER = buy, SELLER = sell, NO_AGGRESSOR = unknown; no ``trade_id``
``Bar``                       ``BarClosed``; time bars of LAST or MID prices only, ``1-MINUTE`` = ``1m``
instruments                   ``InstrumentDefined``; ``price_increment`` = tick, ``size_increment`` = lot
============================  ==============================================================================

Symbols are the same on both sides (``SYMBOL.VENUE``). Times are ``ts_event``; ``ts_init`` is dropped. A bar's
``ts_event`` is its close on our side: so must be the node's (its default).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from libs.bridges.nautilus_trader.errors import PayloadError, UnmappedError
from libs.bridges.nautilus_trader.wire import decimal, number, text, timestamp
from libs.contracts.market import AssetClass, BarClosed, InstrumentDefined, QuoteReceived, TradeReceived

AGGRESSORS: dict[str, Literal["buy", "sell", "unknown"]] = {
    "BUYER": "buy",
    "SELLER": "sell",
    "NO_AGGRESSOR": "unknown",
}
AGGREGATIONS = {
    "MILLISECOND": "ms", "SECOND": "s", "MINUTE": "m", "HOUR": "h", "DAY": "d", "WEEK": "w", "MONTH": "mo", "YEAR": "y",
}  # fmt: skip
PRICE_TYPES = ("LAST", "MID")

_ASSET_CLASSES: dict[str, AssetClass] = {
    "EQUITY": "equity", "INDEX": "index", "DEBT": "bond", "FX": "fx", "COMMODITY": "commodity",
    "CRYPTOCURRENCY": "crypto",
}  # fmt: skip
_DERIVATIVES = frozenset(
    {
        "FuturesContract",
        "FuturesSpread",
        "OptionContract",
        "OptionSpread",
        "BinaryOption",
        "CryptoFuture",
        "CryptoOption",
    }
)
INSTRUMENTS = _DERIVATIVES | {"CurrencyPair", "Equity", "Cfd", "Commodity", "IndexInstrument", "CryptoPerpetual"}

#: ISO 4217 codes that NautilusTrader knows as money; it takes every other code of a pair for a crypto asset.
_MONEY = frozenset(
    {
        "AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "JPY", "KRW",
        "MXN", "NOK", "NZD", "PLN", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR",
    }
)  # fmt: skip
#: The precious metals among them.
_METALS = frozenset({"XAG", "XAU", "XPD", "XPT"})


def quote_of(body: Mapping[str, Any], source: str, is_synthetic: bool) -> QuoteReceived:
    """A ``QuoteTick``.

    Raises:
        PayloadError: If a field is missing or malformed.
    """
    return QuoteReceived(
        timestamp(body), text(body, "instrument_id"), number(body, "bid_price"), number(body, "ask_price"),
        number(body, "bid_size"), number(body, "ask_size"), source, is_synthetic,
    )  # fmt: skip


def trade_of(body: Mapping[str, Any], source: str, is_synthetic: bool) -> TradeReceived:
    """A ``TradeTick``.

    Raises:
        PayloadError: If a field is missing or malformed.
    """
    side = text(body, "aggressor_side")
    if side not in AGGRESSORS:
        raise PayloadError(f"aggressor_side of TradeTick must be among {', '.join(AGGRESSORS)}, was '{side[:32]}'")
    return TradeReceived(
        timestamp(body), text(body, "instrument_id"), number(body, "price"), number(body, "size"), AGGRESSORS[side],
        source, is_synthetic,
    )  # fmt: skip


def bar_of(body: Mapping[str, Any], source: str, is_synthetic: bool) -> BarClosed:
    """A ``Bar``; its source names the bar type, because a middle price and a last price are two things.

    Raises:
        PayloadError: If a field is missing or malformed.
        UnmappedError: If it is no time bar of last or middle prices.
    """
    whole = text(body, "bar_type").partition("@")[0]
    parts = whole.rsplit("-", 4)
    if len(parts) != 5 or not (parts[1].isascii() and parts[1].isdigit()):
        raise PayloadError(f"bar_type of Bar must be SYMBOL.VENUE-STEP-AGGREGATION-PRICE-SOURCE, was '{whole[:64]}'")
    symbol, step, aggregation, price_type, _ = parts
    if aggregation not in AGGREGATIONS:
        raise UnmappedError(
            f"bars must be of a time interval, was '{whole}': BarClosed has no word for {aggregation} bars"
        )
    if price_type not in PRICE_TYPES:
        raise UnmappedError(f"bars must be of LAST or MID prices, was '{whole}': BarClosed tells no sides apart")
    return BarClosed(
        timestamp(body), symbol, f"{step}{AGGREGATIONS[aggregation]}", number(body, "open"), number(body, "high"),
        number(body, "low"), number(body, "close"), number(body, "volume"),
        f"{source}:{whole[len(symbol) + 1 :]}", is_synthetic,
    )  # fmt: skip


def instrument_of(body: Mapping[str, Any], source: str, is_synthetic: bool) -> InstrumentDefined:
    """An instrument of any kind that has a counterpart.

    Raises:
        PayloadError: If a field is missing or malformed.
        UnmappedError: If it is inverse, or of no asset class of ours.
    """
    kind, symbol = text(body, "type"), text(body, "id")
    if body.get("is_inverse"):
        raise UnmappedError(
            f"instrument {symbol} must be linear, was inverse: profit in our ledgers is quantity times price times "
            "multiplier"
        )
    lots = "size_increment" if body.get("size_increment") is not None else "lot_size"
    return InstrumentDefined(
        timestamp(body),
        symbol,
        _asset_class(kind, body),
        currency_of(body),
        _plain(decimal(body, "price_increment")),
        _plain(decimal(body, lots)),
        _plain(decimal(body, "multiplier")) if body.get("multiplier") is not None else "1",
        is_tradable=kind != "IndexInstrument",
        source=source,
        is_synthetic=is_synthetic,
    )


def currency_of(body: Mapping[str, Any]) -> str:
    """The currency of an instrument's prices."""
    return text(body, "quote_currency" if body.get("quote_currency") is not None else "currency")


def _asset_class(kind: str, body: Mapping[str, Any]) -> AssetClass:
    if kind == "CurrencyPair":
        codes = {text(body, "base_currency"), text(body, "quote_currency")}
        return "fx" if codes <= _MONEY else "commodity" if codes & _METALS else "crypto"
    if kind in _DERIVATIVES:
        return "derivative"
    named: dict[str, AssetClass] = {"Equity": "equity", "IndexInstrument": "index", "CryptoPerpetual": "crypto"}
    if kind in named:
        return named[kind]
    asset_class = text(body, "asset_class")
    if asset_class not in _ASSET_CLASSES:
        raise UnmappedError(
            f"asset class of {text(body, 'id')} must be among {', '.join(_ASSET_CLASSES)}, was '{asset_class}'"
        )
    return _ASSET_CLASSES[asset_class]


def _plain(value: Decimal) -> str:
    return format(value, "f")
