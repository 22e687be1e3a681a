"""Events any engine may publish about itself."""

from __future__ import annotations

from typing import Literal

from libs.messagebus.topic import Event

EngineState = Literal["starting", "running", "degraded", "paused", "stopped", "failed", "standby"]


class HeartbeatSent(Event, frozen=True, tag="system.heartbeat.v1"):
    """An engine process is alive; ``ts_event`` is wall-clock time, unlike every other event in a replay.

    In the state ``standby`` it is a second process of the engine, and no sign of life of the engine itself;
    ``lag_events`` then counts the commits it is behind.
    """

    engine: str
    instance: str
    epoch: int
    version: str
    state: EngineState
    lag_events: int
    http_port: int


class EngineStateChanged(Event, frozen=True, tag="system.engine.v1"):
    """An engine's life: started, paused, resumed, degraded, stopped; ``ts_event`` is wall-clock time."""

    engine: str
    state: EngineState
    previous_state: EngineState
    actor: str
    reason: str


class EventDeadLettered(Event, frozen=True, tag="system.dead_letter.v1"):
    """An event could not be decoded or its handler raised.

    Attributes:
        engine: The reader that failed on it.
        stream, entry_id, index: Where it lies.
        event_id: Its id, when the envelope could be read.
        error: Type and text of the error, one line.
        traceback_hash: Equal for equal failures, so that repeats can be grouped.
        payload: The event's bytes, at most 64 KiB of them.
        attempts: Times it was tried.
    """

    engine: str
    stream: str
    entry_id: str
    index: int
    event_id: str
    topic: str
    error: str
    traceback_hash: str
    payload: bytes
    attempts: int = 1
