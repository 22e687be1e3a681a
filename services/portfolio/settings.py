"""Settings of the portfolio engine: ``PORTFOLIO_*``."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from libs.contracts.fleet import PORTS
from libs.engine.settings import EngineSettings, engine_config


class PortfolioSettings(EngineSettings):
    """What an operator may choose; read once, by the composition root.

    Attributes:
        opening_cash: Cash of the default portfolio, in ``base_currency``; only the first start of a fleet reads it.
        base_currency: ISO 4217 code of the default portfolio's money.
        history_points: Days of the equity curve kept at most; the older half is thinned past that.
        fill_memory: Fill ids remembered to recognise a repeat; see ``identifiers.py`` for what comes after.
        reference_memory: References of cash flows remembered per portfolio, likewise.
    """

    model_config = engine_config("PORTFOLIO_")

    port: int = PORTS["portfolio"]
    opening_cash: Decimal = Field(default=Decimal(1_000_000), ge=0, lt=10**15, decimal_places=18)
    base_currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    history_points: int = Field(default=10_000, ge=2)
    fill_memory: int = Field(default=10_000, ge=100)
    reference_memory: int = Field(default=10_000, ge=100)
