"""Settings of the factor engine: ``FACTOR_*``."""

from __future__ import annotations

from libs.contracts.fleet import PORTS
from libs.engine.settings import EngineSettings, engine_config


class FactorSettings(EngineSettings):
    """Host, port and log level; the lookbacks are part of the factors' names and no settings."""

    model_config = engine_config("FACTOR_")

    port: int = PORTS["factor"]
