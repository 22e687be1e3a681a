"""What the model remembers of one instrument between two closes."""

from __future__ import annotations

import msgspec

from services.ml.inputs import input_vector
from services.ml.intervals import ErrorWindow


class Pending(msgspec.Struct):
    """What was known at a close, waiting for the next one.

    Attributes:
        ts_event: Timestamp of that close.
        inputs: Input vector of that close, None where ``reason`` says why.
        prediction: Return predicted then, None when there was no model or no inputs.
        version: Version of the model that made it.
        naive_mean: Mean of all outcomes known then.
        half_width: Half the 80 % interval stated then.
        is_synthetic: Whether the close or a feature was.
    """

    ts_event: int
    close: float
    inputs: list[float] | None
    reason: str
    prediction: float | None = None
    version: int = 0
    naive_mean: float = 0.0
    half_width: float | None = None
    is_synthetic: bool = False


class Instrument(msgspec.Struct):
    """Arrived but not yet marked prices and features, and what waits for an outcome.

    Attributes:
        features_ts: Timestamp of ``features``.
        features: Feature values, emptied once marked.
        close_id, features_id: Ids of the events they came by; a prediction names them.
        errors: Out-of-sample errors of this instrument.
    """

    is_tradable: bool = False
    close_ts: int = -1
    close: float = 0.0
    features_ts: int = -1
    features: dict[str, float] = {}
    is_synthetic: bool = False
    source: str = ""
    pending: Pending | None = None
    errors: ErrorWindow = msgspec.field(default_factory=ErrorWindow)
    close_id: str = ""
    features_id: str = ""

    def outcome(self) -> float | None:
        """Simple return from the pending close to the newest one; None when there is none or no positive base."""
        if self.pending is None or self.pending.close <= 0.0 or self.close <= 0.0:
            return None
        return self.close / self.pending.close - 1.0

    def observe(self, ts_event: int) -> Pending:
        """Make what is known at ``ts_event`` pending."""
        inputs, reason = None, ""
        if self.features_ts != ts_event:
            reason = "features of the newest close have not arrived"
        else:
            try:
                inputs = input_vector(self.features, self.close)
            except ValueError as error:
                reason = str(error)
        self.pending = Pending(ts_event, self.close, inputs, reason, is_synthetic=self.is_synthetic)
        self.features, self.is_synthetic = {}, False
        return self.pending
