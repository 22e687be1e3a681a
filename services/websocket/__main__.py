"""Composition root of the websocket engine."""

from __future__ import annotations

from libs.engine.run import run_components
from libs.engine.tailing import TailService
from services.websocket.service import websocket_service
from services.websocket.settings import WebsocketSettings


def services(settings: WebsocketSettings | None = None) -> list[TailService]:
    """What this process runs."""
    return [websocket_service(settings or WebsocketSettings())]


if __name__ == "__main__":
    run_components([], services=services)
