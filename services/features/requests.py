"""Request and response models of the features surface."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Prices and symbols a request may hold.
MAX_ROWS, MAX_SYMBOLS = 100_000, 500

Numbers = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=1, max_length=MAX_ROWS)]


class GivenSeries(BaseModel):
    """A price series oldest first; without ``prices`` the stored features are meant."""

    model_config = ConfigDict(extra="forbid")

    prices: Numbers | None = None
    high: Numbers | None = None
    low: Numbers | None = None
    volumes: Numbers | None = None
    interval: str = Field(default="1d", min_length=1, max_length=16)

    @model_validator(mode="after")
    def _prices_first(self) -> Self:
        if self.prices is None and (self.high is not None or self.low is not None or self.volumes is not None):
            raise ValueError("prices must be given with high, low or volumes, was absent; give the closes too")
        return self


class BatchRequest(BaseModel):
    """Symbols, and series for those that shall not be answered from what is stored."""

    model_config = ConfigDict(extra="forbid")

    symbols: list[str] = Field(min_length=1, max_length=MAX_SYMBOLS)
    market_data: dict[str, GivenSeries] | None = None
    interval: str = Field(default="1d", min_length=1, max_length=16)

    @model_validator(mode="after")
    def _data_of_listed_symbols(self) -> Self:
        stray = sorted(set(self.market_data or {}) - set(self.symbols))
        if stray:
            raise ValueError(f"market_data must be of listed symbols, was also of {stray[0]}; add it to symbols")
        return self


class FeatureSet(BaseModel):
    """Features of one series after its newest price.

    Attributes:
        features: Every feature by name, null where ``reasons`` says why.
        window_start, window_end: UNIX nanoseconds of the oldest and newest price in the bounded windows; null for a
            given series, which has no timestamps.
        observations: Prices of a given series; null for stored features.
    """

    symbol: str
    interval: str
    features: dict[str, float | None]
    reasons: dict[str, str]
    window_start: int | None = None
    window_end: int | None = None
    observations: int | None = None
    as_of: datetime | None = None
    age_seconds: float | None = None
    source: str
    is_synthetic: bool | None = None
