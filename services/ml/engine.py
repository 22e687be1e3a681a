"""The ml engine: stores closes and features as they come, and scores, trains and predicts at ``StepClosed`` "mark".

By the "mark" of a timestamp all its closes and features have arrived. In this order, each over the sorted symbols:

1. outcomes: yesterday's predictions are scored against today's closes, yesterday's inputs become training rows;
2. training: every ``refit_days`` days the model is fitted to all rows there are by then;
3. predictions: today's inputs, standardised by the moments of past rows only, give tomorrow's expected return.

So a prediction of timestamp T depends on nothing later than T (``test_walk_forward.py`` changes the future to see).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.analysis import FeaturesCalculated, ModelTrained, PredictionMade
from libs.contracts.market import BarClosed, CloseReceived, InstrumentDefined, StepClosed
from libs.engine.engine import Outbox
from libs.messagebus.topic import Route, on
from services.ml.inputs import INPUTS
from services.ml.instrument import Instrument
from services.ml.moments import Moments
from services.ml.ridge import fit
from services.ml.settings import MlSettings
from services.ml.state import MlState, TrainedModel

MODEL_ID = "ridge_return_1d"
ALGORITHM = "ridge"
#: The only interval used: the horizon is the next daily close.
DAILY: Final = "1d"
#: Closes beyond these magnitudes are data errors, and would overflow or underflow a return.
LARGEST_PRICE, SMALLEST_PRICE = 1e15, 1e-12


class MlEngine:
    """State machine of the ml service."""

    name = "ml"
    state_type: type[msgspec.Struct] = MlState

    def __init__(self, clock: Clock, outbox: Outbox, settings: MlSettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self.settings = settings
        self.state = MlState(Moments.empty(len(INPUTS)))

    def routes(self) -> Sequence[Route]:
        """Instruments, prices, features and steps."""
        return (
            on(topics.INSTRUMENT, self.on_instrument),
            on(topics.BAR, self.on_price),
            on(topics.CLOSE, self.on_price),
            on(topics.FEATURES, self.on_features),
            on(topics.STEP, self.on_step_closed),
        )

    def on_start(self) -> None:
        """Nothing to do: there is no model before there is data."""

    def on_time_event(self, name: str, ts_event: int) -> None:
        """No timer is armed here."""

    # -- input ------------------------------------------------------------------------------------

    def on_instrument(self, event: InstrumentDefined) -> None:
        """Remember whether an instrument is predicted."""
        instrument = self._instrument(event.symbol)
        instrument.is_tradable = event.is_tradable
        if not event.is_tradable:
            # Were it to come back, the return since then would span more than the horizon.
            instrument.pending = None

    def on_price(self, event: BarClosed | CloseReceived) -> None:
        """Store a daily close until its step is marked.

        Raises:
            ValueError: If the close is not finite or absurd; nothing was changed then.
        """
        if event.interval != DAILY:
            return
        close = event.close
        if not (SMALLEST_PRICE <= abs(close) <= LARGEST_PRICE or close == 0.0):
            raise ValueError(f"close must be finite and of magnitude 1e-12 to 1e15, was {close}; correct the source")
        instrument = self._instrument(event.symbol)
        if event.ts_event <= instrument.close_ts:
            # A second source for the same day, or a resend: the first one stands, as in the features engine.
            self.state.ignored += 1
            return
        instrument.close_ts, instrument.close, instrument.source = event.ts_event, close, event.source
        instrument.close_id = self._outbox.event_id
        instrument.is_synthetic = instrument.is_synthetic or event.is_synthetic

    def on_features(self, event: FeaturesCalculated) -> None:
        """Store a daily feature vector until its step is marked."""
        if event.interval != DAILY:
            return
        instrument = self._instrument(event.symbol)
        instrument.features_ts, instrument.features = event.ts_event, event.values
        instrument.features_id = self._outbox.event_id
        instrument.is_synthetic = instrument.is_synthetic or event.is_synthetic

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self.state.instruments.get(symbol)
        if instrument is None:
            instrument = self.state.instruments[symbol] = Instrument()
        return instrument

    # -- the mark ---------------------------------------------------------------------------------

    def on_step_closed(self, event: StepClosed) -> None:
        """Score, train and predict with everything of this timestamp."""
        if event.stage != "mark":
            return
        members = [
            (symbol, instrument)
            for symbol, instrument in sorted(self.state.instruments.items())
            if instrument.is_tradable and instrument.close_ts == event.ts_event
        ]
        if not members:
            return
        self._learn(members)
        self._train(event.ts_event)
        for symbol, instrument in members:
            self._predict(event.ts_event, symbol, instrument)
        self.state.last_mark = event.ts_event

    def _learn(self, members: Sequence[tuple[str, Instrument]]) -> None:
        state = self.state
        rows: list[list[float]] = []
        predictions: list[float] = []
        outcomes: list[float] = []
        for _, instrument in members:
            pending, outcome = instrument.pending, instrument.outcome()
            if pending is None or outcome is None:
                continue
            if pending.prediction is not None:
                state.record.score(pending.prediction, pending.naive_mean, pending.half_width, outcome)
                instrument.errors.add(outcome - pending.prediction)
                if pending.ts_event == state.last_mark:
                    predictions.append(pending.prediction)
                    outcomes.append(outcome)
            if pending.inputs is not None:
                rows.append([*pending.inputs, outcome])
                state.is_synthetic = state.is_synthetic or pending.is_synthetic or instrument.is_synthetic
        if predictions:
            state.record.score_day(predictions, outcomes)
        if rows:
            state.moments.add(rows)
            state.days += 1
            state.data_hash = extended_hash(state.data_hash, rows)

    def _train(self, ts_event: int) -> None:
        state, model = self.state, self.state.model
        if state.days < (self.settings.minimum_days if model is None else model.days + self.settings.refit_days):
            return
        trained = fit(state.moments, self.settings.penalty)
        version = 1 if model is None else model.version + 1
        state.model = TrainedModel(
            version, ts_event, state.moments.count, state.days, state.data_hash.hex(), trained, state.is_synthetic
        )
        metrics = {
            "in_sample_mean_squared_error": trained.mean_squared_error,
            "in_sample_mean_squared_error_naive_zero": trained.zero_error,
            "in_sample_mean_squared_error_naive_mean": trained.mean_variance,
            "training_days": float(state.days),
        }
        metrics.update(
            (f"out_of_sample_{name}", value) for name, value in state.record.figures().items() if value is not None
        )
        self._outbox.publish_because(
            ModelTrained(
                ts_event, MODEL_ID, version, ALGORITHM, state.moments.count, ts_event, state.model.data_hash,
                self.settings.seed, metrics,
            ),
            (), state.model,
        )  # fmt: skip

    def _predict(self, ts_event: int, symbol: str, instrument: Instrument) -> None:
        state, model = self.state, self.state.model
        pending = instrument.observe(ts_event)
        if model is None or pending.inputs is None:
            return
        pending.prediction = value = model.fit.predict(pending.inputs)
        pending.version = model.version
        pending.naive_mean = state.moments.target_mean
        pending.half_width = instrument.errors.half_width()
        pending.is_synthetic = pending.is_synthetic or model.is_synthetic
        state.predictions += 1
        record = state.record
        self._outbox.publish_because(
            PredictionMade(
                ts_event, symbol, MODEL_ID, model.version, DAILY, value, record.hit_rate,
                record.information_coefficient, record.observations, self.settings.seed, pending.is_synthetic,
            ),
            (instrument.features_id, instrument.close_id, model.event_id),
        )  # fmt: skip

    # -- reading ----------------------------------------------------------------------------------

    def age_seconds(self, ts_event: int) -> float:
        """How long ago ``ts_event`` was on this engine's clock."""
        return (self._clock.timestamp_ns() - ts_event) / 1e9

    # -- life -------------------------------------------------------------------------------------

    def snapshot(self) -> MlState:
        """The state itself; the host encodes it before the next event."""
        return self.state

    def restore(self, state: MlState) -> None:
        """Continue from a snapshot."""
        self.state = state

    def status(self) -> Mapping[str, Any]:
        """Counters."""
        state = self.state
        return {
            "predictions_made": state.predictions,
            "predictions_scored": state.record.observations,
            "models_loaded": int(state.model is not None),
            "model_version": state.model.version if state.model else 0,
            "training_rows": state.moments.count,
            "training_days": state.days,
            "prices_ignored": state.ignored,
            "device": "cpu",
        }


def extended_hash(data_hash: bytes, rows: Sequence[Sequence[float]]) -> bytes:
    """BLAKE2b of the hash so far and the bytes of the next rows: equal hashes mean equal rows in equal order."""
    digest = hashlib.blake2b(data_hash, digest_size=16)
    for row in rows:
        digest.update(struct.pack(f"<{len(row)}d", *row))
    return digest.digest()
