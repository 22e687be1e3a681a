"""Settings of the analytics engine: ``ANALYTICS_*``."""

from __future__ import annotations

from pydantic import Field

from libs.contracts.fleet import PORTS
from libs.engine.settings import EngineSettings, engine_config


class AnalyticsSettings(EngineSettings):
    """Read once by the composition root.

    Attributes:
        benchmark: Symbol that alpha and beta are measured against; they are missing while it has no prices.
        periods_per_year: Annualisation of daily returns; 252 for exchanges, 365 for markets that never close.
        symbol_history: Daily closes kept per instrument; a window over an instrument has one return fewer.
        max_open_orders: Submitted orders remembered for their arrival price; the oldest is forgotten past it.
    """

    model_config = engine_config("ANALYTICS_")

    port: int = PORTS["analytics"]
    benchmark: str = "SPX.INDEX"
    periods_per_year: int = Field(default=252, ge=1, le=366)
    symbol_history: int = Field(default=253, ge=2, le=5_041)
    max_open_orders: int = Field(default=100_000, ge=1)
