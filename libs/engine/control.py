"""The writing half of the control surface: pause, resume, snapshot, halt."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from libs.clock import Clock
from libs.contracts.risk import HaltTrading, ResumeTrading
from libs.engine.auth import actor_of
from libs.engine.halts import HaltDesk
from libs.engine.health import HostView
from libs.engine.plain import iso
from libs.engine.vitals import Change

_Lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
Scope = Annotated[Literal["all", "portfolio", "strategy", "symbol"], _Lower]
Reason = Annotated[str, Field(max_length=500, description="why, for the audit trail")]


class ControlRequest(BaseModel):
    """Why somebody pauses or takes a snapshot."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""


class _Targeted(ControlRequest):
    scope: Scope = "all"
    target: str = Field(default="", max_length=200, description="portfolio, strategy or symbol; empty for scope all")

    @model_validator(mode="after")
    def _target_fits_scope(self) -> _Targeted:
        if (self.scope == "all") == bool(self.target):
            raise ValueError(f"target must be empty for scope all and set for others, was '{self.target}'")
        return self


class HaltRequest(_Targeted):
    """What to halt."""

    cancel_orders: bool = Field(default=True, description="cancel working orders")
    allow_reducing: bool = Field(default=False, description="let orders pass that only reduce a position")


class ResumeRequest(_Targeted):
    """What to resume: the engine's intake, and with ``confirm`` also a halt."""

    confirm: bool = Field(default=False, description="also lift the halt of scope and target")


class ControlAnswer(BaseModel):
    """What a control request did, after it was done."""

    engine: str
    previous_state: str
    state: str
    actor: str
    reason: str
    at: str = Field(description="ISO 8601 UTC")
    event_id: str
    correlation_id: str
    snapshot_number: int | None = Field(default=None, description="commit the snapshot stands at")


class HaltAnswer(BaseModel):
    """A halt that is in force, or one that was lifted."""

    engine: str
    previous_state: str
    state: str
    actor: str
    reason: str
    scope: str
    target: str
    at: str
    event_id: str
    correlation_id: str


def control_router(host: HostView, desk: HaltDesk, clock: Clock) -> APIRouter:
    """Routes under ``/control``.

    Args:
        host: What is controlled.
        desk: Halts trading and lifts halts.
        clock: The live clock.
    """
    router = APIRouter(prefix="/control", tags=["control"])

    @router.post("/pause")
    async def pause(request: Request, body: ControlRequest) -> ControlAnswer:
        """Stop taking input after the present batch."""
        return _answer(host, request, await host.pause(actor_of(request), body.reason))

    @router.post("/snapshot")
    async def snapshot(request: Request, body: ControlRequest) -> ControlAnswer:
        """Store a snapshot; answers when it is stored."""
        return _answer(host, request, await host.snapshot(actor_of(request), body.reason))

    @router.post("/resume")
    async def resume(request: Request, body: ResumeRequest) -> ControlAnswer:
        """Go on after a pause; with ``confirm`` also lift a halt."""
        actor = actor_of(request)
        change = await host.resume(actor, body.reason)
        if body.confirm:
            await desk.send(ResumeTrading(host.clock_ns(), body.scope, body.target, body.reason, actor))
        return _answer(host, request, change)

    @router.post("/halt")
    async def halt(request: Request, body: HaltRequest) -> HaltAnswer:
        """Halt trading; answers when risk has carried it out. It stays in force until a person lifts it."""
        actor = actor_of(request)
        previous = "halted" if host.vitals().halted else "trading"
        event_id = await desk.send(
            HaltTrading(
                host.clock_ns(), body.scope, body.target, body.reason, actor, body.cancel_orders,
                body.allow_reducing,
            )
        )  # fmt: skip
        return HaltAnswer(
            engine=host.name, previous_state=previous, state="halted", actor=actor, reason=body.reason,
            scope=body.scope, target=body.target, at=iso(clock.timestamp_ns()) or "", event_id=event_id,
            correlation_id=event_id,
        )  # fmt: skip

    return router


def _answer(host: HostView, request: Request, change: Change) -> ControlAnswer:
    return ControlAnswer(
        engine=host.name, previous_state=change.previous_state, state=change.state, actor=change.actor,
        reason=change.reason, at=iso(change.at_ns) or "", event_id=change.event_id,
        correlation_id=request.state.correlation_id, snapshot_number=change.snapshot_number,
    )  # fmt: skip
