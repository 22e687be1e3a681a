"""Composition root of marketdata."""

from __future__ import annotations

from libs.clock.live import LiveClock
from libs.engine.component import Component
from libs.engine.run import run_components
from services.marketdata.adapters.replay import replay_adapter
from services.marketdata.api import BODY_LIMITS, router
from services.marketdata.engine import MarketDataEngine
from services.marketdata.metrics import register_metrics
from services.marketdata.progress import ReplayProgress
from services.marketdata.settings import MarketDataSettings


def components(settings: MarketDataSettings | None = None) -> list[Component]:
    """What this process runs: the engine, and beside it the replay of the configured sources."""
    chosen = settings or MarketDataSettings()
    progress = ReplayProgress()
    return [
        Component(
            name=MarketDataEngine.name,
            make_engine=lambda clock, outbox: MarketDataEngine(clock, outbox, chosen),
            port=chosen.port,
            router=lambda engine, commands: router(engine, commands, chosen, progress, LiveClock()),
            adapters=lambda context: [replay_adapter(context, chosen, progress)],
            metrics=lambda engine, registry: register_metrics(engine, registry, progress),
            settings=chosen,
            body_limits=BODY_LIMITS,
        )
    ]


if __name__ == "__main__":
    run_components(components)
