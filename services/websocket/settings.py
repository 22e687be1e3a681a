"""Settings of the websocket engine: ``WEBSOCKET_*``."""

from __future__ import annotations

from pydantic import Field

from libs.contracts.fleet import PORTS
from libs.engine.settings import CommaSeparated, EngineSettings, engine_config


class WebsocketSettings(EngineSettings):
    """Read once by the composition root.

    Attributes:
        max_connections: Clients at a time; one more is closed with 1013.
        max_subscriptions: Topics and patterns of one client.
        heartbeat_seconds: Between two heartbeats to a client.
        idle_seconds: Without a sign of life from a client (a frame or a pong) until it is closed with 4040.
        queue: Lossless messages that may wait for a slow client; one more closes it with 4008.
        queue_bytes: Bytes that may wait for a slow client.
        auth_seconds: For the first frame with a token, where one is needed.
        frame_bytes: Largest frame a client may send.
        frames_per_second: Frames a client may send, with one second's worth at once.
        latest_values: Newest values kept for snapshots, over all conflated topics.
        allowed_origins: Web pages from elsewhere that may connect; a page from the same host and port always may.
    """

    model_config = engine_config("WEBSOCKET_")

    port: int = PORTS["websocket"]
    max_connections: int = Field(default=1_000, ge=1, le=100_000)
    max_subscriptions: int = Field(default=50, ge=1, le=10_000)
    heartbeat_seconds: float = Field(default=30.0, gt=0, le=3_600, allow_inf_nan=False)
    idle_seconds: float = Field(default=300.0, gt=0, le=86_400, allow_inf_nan=False)
    queue: int = Field(default=1_000, ge=1, le=1_000_000)
    queue_bytes: int = Field(default=4 * 1024 * 1024, ge=64 * 1024)
    auth_seconds: float = Field(default=5.0, gt=0, le=60, allow_inf_nan=False)
    frame_bytes: int = Field(default=64 * 1024, ge=1_024, le=1024 * 1024)
    frames_per_second: int = Field(default=20, ge=1, le=10_000)
    latest_values: int = Field(default=20_000, ge=1)
    allowed_origins: CommaSeparated = ()
