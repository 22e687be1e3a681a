"""What is a price of a symbol, and which of two is the newer."""

from __future__ import annotations

from libs.contracts.market import QuoteReceived
from services.portfolio.amounts import checked_price
from services.portfolio.state import Mark


def middle(quote: QuoteReceived) -> float | None:
    """The middle of a two-sided quote; None for a one-sided one, half of which would be a made-up price.

    Raises:
        ValueError: If the quote is crossed.
    """
    if quote.bid > quote.ask:
        raise ValueError(
            f"bid of {quote.symbol} must not be above its ask {quote.ask!r}, was {quote.bid!r}; correct the source"
        )
    if quote.bid == 0.0 or quote.ask == 0.0:
        return None
    return quote.bid + (quote.ask - quote.bid) / 2.0


def store_mark(marks: dict[str, Mark], symbol: str, price: float, ts_event: int, is_synthetic: bool) -> None:
    """Keep the newest price of ``symbol``; of two with one timestamp, the one published last.

    Raises:
        ValueError: If no position could be valued with it.
    """
    checked_price(symbol, price)
    known = marks.get(symbol)
    if known is None or ts_event >= known.ts_event:
        marks[symbol] = Mark(price, ts_event, is_synthetic)
