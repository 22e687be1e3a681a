"""Composition root of the gateway."""

from __future__ import annotations

from libs.engine.run import run_components
from libs.engine.tailing import TailService
from services.gateway.service import gateway_service
from services.gateway.settings import EngineUrls, GatewaySettings


def services(settings: GatewaySettings | None = None, urls: EngineUrls | None = None) -> list[TailService]:
    """What this process runs."""
    return [gateway_service(settings or GatewaySettings(), urls or EngineUrls())]


if __name__ == "__main__":
    run_components([], services=services)
