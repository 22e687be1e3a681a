"""The state of the ml engine: everything needed to continue bit for bit."""

from __future__ import annotations

import msgspec

from services.ml.instrument import Instrument
from services.ml.moments import Moments
from services.ml.record import Record
from services.ml.ridge import RidgeFit


class TrainedModel(msgspec.Struct):
    """One version of the model.

    Attributes:
        trained_until: Timestamp of the newest outcome in the training rows.
        days: Days with training rows behind it.
        is_synthetic: Whether any of those rows was.
        event_id: Of the ``ModelTrained`` that announced it.
    """

    version: int
    trained_until: int
    rows: int
    days: int
    data_hash: str
    fit: RidgeFit
    is_synthetic: bool
    event_id: str = ""


class MlState(msgspec.Struct):
    """What a snapshot holds.

    Attributes:
        days: Days with training rows.
        data_hash: BLAKE2b chain over all training rows in order.
        last_mark: Timestamp of the newest mark with prices.
        ignored: Prices not newer than the newest of their instrument.
    """

    moments: Moments
    instruments: dict[str, Instrument] = {}
    record: Record = msgspec.field(default_factory=Record)
    model: TrainedModel | None = None
    days: int = 0
    data_hash: bytes = b""
    is_synthetic: bool = False
    last_mark: int = -1
    predictions: int = 0
    ignored: int = 0
