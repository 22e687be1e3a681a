"""A process of one small engine, for tests that start and stop real processes: ``python echo_service.py``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from fastapi import APIRouter

from libs.engine.commands import Commands
from libs.engine.component import Adapter, AdapterContext, Component
from libs.engine.run import run_components
from libs.engine.settings import EngineSettings, engine_config
from tests.libs.engine.echo_engine import EchoEngine, cash


class EchoSettings(EngineSettings):
    """What the test may choose."""

    model_config = engine_config("ECHO_")

    port: int = 0
    dies_after_seconds: float = 0.0


class DyingAdapter:
    """An adapter that fails, as one with a bug would."""

    name = "dying"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def run(self) -> None:
        await asyncio.sleep(self._seconds)
        raise OSError("the source went away")


def router(engine: EchoEngine, commands: Commands) -> APIRouter:
    routes = APIRouter(prefix="/echo")

    @routes.post("/cash/{amount}")
    async def deposit(amount: str) -> dict[str, str]:
        reply = await commands.send(cash(0, amount))
        return {"event_id": reply.event_id, **reply.value}

    return routes


def components(settings: EchoSettings | None = None) -> list[Component]:
    chosen = settings or EchoSettings()

    def adapters(context: AdapterContext) -> Sequence[Adapter]:
        return [DyingAdapter(chosen.dies_after_seconds)] if chosen.dies_after_seconds else []

    return [Component("echo", EchoEngine, chosen.port, router, adapters, settings=chosen)]


if __name__ == "__main__":
    os.environ.setdefault("REDIS_URL", "memory://")
    os.environ.setdefault("NAUTILUS_AUTH", "off")
    run_components(components)
