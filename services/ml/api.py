"""HTTP surface of the ml engine: the model with its record, and price forecasts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from libs.engine.commands import Commands
from libs.engine.problems import Problem
from services.ml.engine import ALGORITHM, DAILY, MODEL_ID, MlEngine
from services.ml.inputs import INPUTS
from services.ml.intervals import COVERAGE, NEEDED
from services.ml.record import Record
from services.ml.state import TrainedModel

_NO_INTERVAL = f"an interval needs {NEEDED} past errors of the instrument; there were fewer when it was made"


class PricePrediction(BaseModel):
    """Ask for the next close of an instrument.

    Attributes:
        current_price: Base of the forecast price; the newest close when absent.
    """

    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(min_length=1, max_length=64)
    current_price: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)] | None = None
    time_horizon: Literal["1d"] = DAILY


def router(engine: MlEngine, _commands: Commands) -> APIRouter:
    """Routes under ``/models`` and ``/ml``; the engine takes no commands."""
    routes = APIRouter(tags=["ml"])

    @routes.get("/models")
    async def models() -> dict[str, Any]:
        """Trained models; empty before the first fit."""
        model = engine.state.model
        items = [] if model is None else [_shown(engine, model)]
        return {"items": items, "count": len(items), "next_cursor": None}

    @routes.get("/models/{model_id}")
    async def one_model(model_id: str) -> dict[str, Any]:
        """One model with its coefficients and its out-of-sample record."""
        if model_id != MODEL_ID:
            raise Problem(404, "unknown-model", f"there is no model '{model_id}'", f"use {MODEL_ID}")
        return _shown(engine, _trained(engine))

    @routes.post("/ml/predict/price")
    async def predict_price(request: PricePrediction) -> dict[str, Any]:
        """The forecast of the next daily close, made at the newest one."""
        model = _trained(engine)
        instrument = engine.state.instruments.get(request.symbol)
        if instrument is None or instrument.pending is None:
            raise Problem(
                404, "no-prediction", f"no daily close of '{request.symbol}' has been marked",
                "check the symbol (SYMBOL.VENUE); it must be tradable and have daily prices",
            )  # fmt: skip
        pending = instrument.pending
        if pending.prediction is None:
            reason = pending.reason or "the first model was trained after its newest close"
            detail = f"'{request.symbol}' has no prediction: {reason}"
            raise Problem(409, "insufficient-history", detail, "wait for the next close")
        base = pending.close if request.current_price is None else request.current_price
        return {
            "symbol": request.symbol,
            "model_id": MODEL_ID,
            "version": pending.version,
            "newest_version": model.version,
            "time_horizon": DAILY,
            "expected_return": pending.prediction,
            "base_price": base,
            "price": base * (1.0 + pending.prediction),
            "interval": _interval(base, pending.prediction, pending.half_width),
            "reasons": {} if pending.half_width is not None else {"interval": _NO_INTERVAL},
            "ts_event": pending.ts_event,
            "as_of": datetime.fromtimestamp(pending.ts_event / 1e9, UTC),
            "age_seconds": engine.age_seconds(pending.ts_event),
            "source": instrument.source,
            "is_synthetic": pending.is_synthetic,
            "method": ALGORITHM,
            "seed": engine.settings.seed,
            "device": "cpu",
            "record": _record(engine.state.record),
        }

    return routes


def _trained(engine: MlEngine) -> TrainedModel:
    model = engine.state.model
    if model is None:
        need = engine.settings.minimum_days
        raise Problem(
            409, "model-not-trained", f"the model has {engine.state.days} of {need} training days",
            "let more daily closes arrive, or lower ML_MINIMUM_DAYS", {"have": engine.state.days, "need": need},
        )  # fmt: skip
    return model


def _shown(engine: MlEngine, model: TrainedModel) -> dict[str, Any]:
    fitted = model.fit
    return {
        "model_id": MODEL_ID,
        "version": model.version,
        "kind": "price",
        "algorithm": ALGORITHM,
        "state": "trained",
        "trained_at": datetime.fromtimestamp(model.trained_until / 1e9, UTC),
        "trained_until": model.trained_until,
        "rows": model.rows,
        "days": model.days,
        "features": list(INPUTS),
        "coefficients": dict(zip(INPUTS, fitted.coefficients, strict=True)),
        "intercept": fitted.intercept,
        "parameters": {
            "penalty": engine.settings.penalty,
            "minimum_days": engine.settings.minimum_days,
            "refit_days": engine.settings.refit_days,
        },
        "metrics": _record(engine.state.record),
        "in_sample": {
            "mean_squared_error": fitted.mean_squared_error,
            "mean_squared_error_naive_zero": fitted.zero_error,
            "mean_squared_error_naive_mean": fitted.mean_variance,
        },
        "data_hash": model.data_hash,
        "seed": engine.settings.seed,
        "device": "cpu",
        "is_synthetic": model.is_synthetic,
    }


def _record(record: Record) -> dict[str, Any]:
    figures = record.figures()
    reason = "no scored predictions to compute it from yet"
    return {
        "observations": record.observations,
        **figures,
        "reasons": {name: reason for name, value in figures.items() if value is None},
    }


def _interval(base: float, prediction: float, half_width: float | None) -> dict[str, float] | None:
    if half_width is None:
        return None
    return {
        "coverage": COVERAGE,
        "low": base * (1.0 + prediction - half_width),
        "high": base * (1.0 + prediction + half_width),
    }
