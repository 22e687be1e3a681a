"""Settings of the ml engine: ``ML_*``, and the fleet's seed."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from libs.contracts.fleet import PORTS
from libs.engine.settings import EngineSettings, engine_config


class MlSettings(EngineSettings):
    """How the model is trained.

    Attributes:
        minimum_days: Days with training rows before the first fit. Days, not rows: the instruments of one day move
            together and say little more than one of them.
        refit_days: Days with training rows between two fits.
        penalty: Ridge penalty as a multiple of the number of rows; 1 weighs it like one standardised input. Set
            beforehand, never tuned on the data it is scored on.
        seed: Recorded with every version. The closed-form fit draws no random number, so it changes nothing.
    """

    model_config = engine_config("ML_")

    port: int = PORTS["ml"]
    minimum_days: int = Field(default=252, ge=2)
    refit_days: int = Field(default=21, ge=1)
    penalty: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    seed: int = Field(default=42, ge=0, lt=2**63, validation_alias=AliasChoices("NAUTILUS_SEED"))
