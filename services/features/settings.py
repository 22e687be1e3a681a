"""Settings of the features engine: ``FEATURES_*``."""

from __future__ import annotations

from libs.contracts.fleet import PORTS
from libs.engine.settings import EngineSettings, engine_config


class FeaturesSettings(EngineSettings):
    """Host, port and log level; the indicators' periods are part of their names and no settings."""

    model_config = engine_config("FEATURES_")

    port: int = PORTS["features"]
