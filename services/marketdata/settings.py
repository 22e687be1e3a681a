"""Settings of marketdata: ``MARKETDATA_*``."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from libs.contracts.fleet import PORTS, READERS
from libs.engine.settings import CommaSeparated, EngineSettings, engine_config
from services.marketdata.catalogue import PACKAGED_SETS
from services.marketdata.sources import FileSource, InstrumentSpec, parse_instruments, parse_sources


class MarketDataSettings(EngineSettings):
    """What is replayed, how fast, and whom it waits for.

    Attributes:
        sources: ``none``, names of packaged data sets with commas between them, or a JSON list of names and files.
        instruments: What ``POST /data/ingest`` may price besides the instruments of the sources: a JSON object of
            symbol to instrument.
        start_date, end_date: Only data with ``start_date <= day < end_date`` (UTC) is replayed.
        speed: Replayed timestamps a second, 0 = as fast as readers keep up; ``POST /feeds/replay/speed`` changes it.
        lockstep: Publish the next timestamp only when every reader has caught up; off = run free, which loses
            the promise that two runs are equal.
        lockstep_readers: Whom lockstep waits for; leave out an engine that this fleet does not run.
        free_running_window: Timestamps a free-running replay may be ahead of the slowest reader.
        recent_per_symbol, recent_overall: Records kept for ``GET /data/{symbol}``.
    """

    model_config = engine_config("MARKETDATA_")

    port: int = PORTS["marketdata"]
    sources: Annotated[tuple[FileSource | str, ...], BeforeValidator(parse_sources)] = tuple(PACKAGED_SETS)
    instruments: Annotated[dict[str, InstrumentSpec], BeforeValidator(parse_instruments)] = {}
    start_date: date | None = None
    end_date: date | None = None
    speed: float = Field(default=30.0, ge=0, le=1_000_000, allow_inf_nan=False)
    lockstep: bool = True
    lockstep_readers: CommaSeparated = READERS
    free_running_window: int = Field(default=64, ge=1, le=10_000)
    recent_per_symbol: int = Field(default=1_000, ge=1, le=50_000)
    recent_overall: int = Field(default=50_000, ge=1, le=1_000_000)

    @field_validator("sources")
    @classmethod
    def _names_are_known(cls, sources: tuple[FileSource | str, ...]) -> tuple[FileSource | str, ...]:
        for source in sources:
            if isinstance(source, str) and source not in PACKAGED_SETS:
                raise ValueError(
                    f"may name the packaged data sets {', '.join(PACKAGED_SETS)}, was '{source}'; "
                    "correct the name, or describe a file in JSON"
                )
        return sources

    @model_validator(mode="after")
    def _has_days(self) -> MarketDataSettings:
        if self.start_date and self.end_date and self.start_date >= self.end_date:
            raise ValueError(
                f"MARKETDATA_START_DATE must be before MARKETDATA_END_DATE, was {self.start_date} and {self.end_date}; "
                "correct one of them"
            )
        return self
